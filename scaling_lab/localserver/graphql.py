"""GraphQL without a schema: graphql-core parses, and an answer is read off plain dictionaries.

A node is a dict: what a query may ask of it, by field name. A value is plain, another node, a list of nodes, or a
function that gives one of these (called only if the field is asked for, with the field's arguments by name in
snake_case). A field or an argument that isn't there is a gap: it is answered with null and counted, so that a new
release of the SDK shows what it asks for and doesn't get.
"""

import inspect
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, TypeGuard, get_args, get_origin, is_typeddict

from graphql import GraphQLError, OperationDefinitionNode, parse
from graphql.language import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionSetNode,
)
from graphql.utilities import value_from_ast_untyped

# No question of the SDK comes near: 10,000 runs with all their fields are 400,000 selections.
MOST_SELECTIONS, DEEPEST = 1_000_000, 60

Node = dict[str, Any]

# Parsed once, where it is asked often; what nobody's client asks is not kept.
LONGEST_QUERY, LONGEST_KEPT = 1_000_000, 10_000
MOST_GAPS, LONGEST_GAP = 1000, 100

# Types that stand for several: a fragment on the left applies to a node on the right.
_INTERFACES = {"ArtifactCollection": ("ArtifactSequence", "ArtifactPortfolio")}


# Lambdas don't say of what type an argument is. By these names it is always the same, and by all others it is text.
_LISTS, _NUMBERS = ("names", "keys", "live_keys"), ("first", "last", "samples", "min_step", "max_step")
_SWITCHES, _ANYTHING = ("missing_ok", "upload", "use_improved_pagination"), ("filters", "order", "specs", "desc")
_TYPES: dict[str, Any] = {
    **dict.fromkeys(_LISTS, list[str]),
    **dict.fromkeys(_NUMBERS, int),
    **dict.fromkeys(_SWITCHES, bool),
    **dict.fromkeys(_ANYTHING, Any),
}


class Fault(Exception):  # noqa: N818 - a finding for the client, not a failure of the server
    """A request that can't be answered. `status` is the HTTP status; the SDK never asks again after one below 500."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Gaps:
    """What was asked for and is not there, counted by name: "Run.fieldOfTomorrow"."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def note(self, name: str) -> None:
        """Count one; of names beyond the first MOST_GAPS, how many they are."""
        name = name[:LONGEST_GAP]
        with self._lock:
            self._counts[name if name in self._counts or len(self._counts) < MOST_GAPS else "others"] += 1

    def counts(self) -> dict[str, int]:
        """All of them, by name."""
        with self._lock:
            return dict(sorted(self._counts.items()))


def execute(roots: Mapping[str, Node], gaps: Gaps, request: Any) -> Node:
    """Answer one request: {"query", "variables", "operationName"} to {"data"}.

    `roots` holds the node that an operation starts from, by its kind: query, mutation.

    Raises:
        Fault: if it can't be parsed, or a resolver refuses it.
    """
    if not isinstance(request, dict) or not isinstance(request.get("query"), str):
        raise Fault("a request holds a query, as text")
    document = _parsed(request["query"])
    operation = _operation(document, request.get("operationName"))
    variables = request.get("variables") or {}
    if not isinstance(variables, dict):
        raise Fault("variables are an object")
    root = roots.get(operation.operation.value)
    if root is None:
        raise Fault(f"{operation.operation.value} is not served here")
    return {"data": _Answer(document, _with_defaults(operation, variables), gaps).select(root, operation.selection_set)}


class _Answer:
    """One operation being answered."""

    def __init__(self, document: DocumentNode, variables: Node, gaps: Gaps) -> None:
        self._variables, self._gaps = variables, gaps
        self._left, self._depth = MOST_SELECTIONS, 0
        self._fragments = {
            part.name.value: part for part in document.definitions if isinstance(part, FragmentDefinitionNode)
        }

    def select(self, node: Node, selections: SelectionSetNode | None) -> Node:
        """What the selection asks of a node. Raises Fault where it never ends, as a fragment inside itself."""
        answer: Node = {}
        self._depth += 1
        if self._depth > DEEPEST:
            raise Fault(f"the query is nested deeper than {DEEPEST}")
        for selection in selections.selections if selections else ():
            self._left -= 1
            if self._left < 0:
                raise Fault(f"the query asks for more than {MOST_SELECTIONS:,} fields; ask for fewer at a time")
            if not self._wanted(selection):
                continue
            if isinstance(selection, FieldNode):
                name = selection.alias.value if selection.alias else selection.name.value
                _merge(answer, name, self._field(node, selection))
            else:
                for name, value in self._of_fragment(node, selection).items():
                    _merge(answer, name, value)
        self._depth -= 1
        return answer

    def _of_fragment(self, node: Node, selection: Any) -> Node:
        fragment = selection
        if isinstance(fragment, FragmentSpreadNode):
            fragment = self._fragments.get(fragment.name.value)
            if fragment is None:
                raise Fault(f"fragment {selection.name.value} is not defined")
        assert isinstance(fragment, InlineFragmentNode | FragmentDefinitionNode)
        return self.select(node, fragment.selection_set) if _applies(fragment, node) else {}

    def _field(self, node: Node, field: FieldNode) -> Any:
        name, owner = field.name.value, str(node.get("__typename", "?"))
        if name not in node:
            self._gaps.note(f"{owner}.{name}")
            return None
        value = node[name]
        if callable(value):
            given = {
                part.name.value: value_from_ast_untyped(part.value, self._variables) for part in field.arguments or ()
            }
            value = self._call(value, f"{owner}.{name}", given)
        return self._complete(value, field.selection_set)

    def _call(self, resolver: Callable[..., Any], place: str, given: Node) -> Any:
        # A mutation's fields come wrapped in one argument.
        if given.keys() == {"input"} and isinstance(given["input"], dict):
            given = given["input"]
        known, required = _parameters(resolver)
        arguments = {}
        for name, value in given.items():
            if value is None:
                continue
            if (kind := known.get(_snake(name))) is not None:
                if not _is_of(value, kind):
                    raise Fault(f"{place}: {name} is not of its type, {_words(kind)}")
                arguments[_snake(name)] = value
            elif name.lower() != "clientmutationid":
                self._gaps.note(f"{place}({name}:)")
        if missing := required - arguments.keys():
            raise Fault(f"{place}: needs {', '.join(sorted(missing))}")
        return resolver(**arguments)

    def _complete(self, value: Any, selections: SelectionSetNode | None) -> Any:
        if isinstance(value, list):
            return [self._complete(item, selections) for item in value]
        if isinstance(value, dict) and selections is not None:
            return self.select(value, selections)
        return value

    def _wanted(self, selection: Any) -> bool:
        """Whether @include and @skip leave it in."""
        for directive in selection.directives or ():
            condition = next((part.value for part in directive.arguments or () if part.name.value == "if"), None)
            value = value_from_ast_untyped(condition, self._variables) if condition else True
            if bool(value) == (directive.name.value == "skip"):
                return False
        return True


def _parsed(text: str) -> DocumentNode:
    if len(text) > LONGEST_QUERY:
        raise Fault(f"a query is at most {LONGEST_QUERY:,} characters; give values as variables")
    try:
        return _kept(text) if len(text) <= LONGEST_KEPT else _parse(text)
    except (GraphQLError, RecursionError) as error:
        # The parser quotes the line of the mistake, however long it is.
        raise Fault(f"not GraphQL: {str(error)[:500]}") from None


def _parse(text: str) -> DocumentNode:
    return parse(text, max_tokens=20_000, no_location=True)


_kept = lru_cache(maxsize=256)(_parse)


def _operation(document: DocumentNode, name: object) -> OperationDefinitionNode:
    operations = [part for part in document.definitions if isinstance(part, OperationDefinitionNode)]
    named = [part for part in operations if part.name and part.name.value == name]
    named = operations if len(operations) == 1 else named
    if len(named) != 1:
        raise Fault(f"the request holds {len(operations)} operations; name one of them")
    return named[0]


def _with_defaults(operation: OperationDefinitionNode, variables: Node) -> Node:
    """Every declared variable: as given, else its default, else null."""
    values = {}
    for declared in operation.variable_definitions or ():
        name = declared.variable.name.value
        default = value_from_ast_untyped(declared.default_value) if declared.default_value else None
        values[name] = variables.get(name, default)
    return values


def _applies(fragment: InlineFragmentNode | FragmentDefinitionNode, node: Node) -> bool:
    if fragment.type_condition is None or "__typename" not in node:
        return True
    wanted = fragment.type_condition.name.value
    return node["__typename"] == wanted or node["__typename"] in _INTERFACES.get(wanted, ())


def _merge(answer: Node, name: str, value: Any) -> None:
    """Put a field in; one that two fragments ask for has what either wants of it."""
    before = answer.get(name)
    if isinstance(before, dict) and isinstance(value, dict):
        for inner, inner_value in value.items():
            _merge(before, inner, inner_value)
    elif _are_nodes(before) and _are_nodes(value) and len(before) == len(value):
        for old, new in zip(before, value, strict=True):
            for inner, inner_value in new.items():
                _merge(old, inner, inner_value)
    else:
        answer[name] = value


def _are_nodes(value: Any) -> TypeGuard[list[Node]]:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z]+)", lambda found: "_" + found.group(1), name).lower()


def _parameters(resolver: Callable[..., Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """Types of all that a resolver takes, by name, and names of what it can't do without."""
    parameters = inspect.signature(resolver).parameters.values()
    required = (parameter.name for parameter in parameters if parameter.default is inspect.Parameter.empty)
    return {parameter.name: _type_of(parameter) for parameter in parameters}, frozenset(required)


def _type_of(parameter: inspect.Parameter) -> Any:
    if parameter.annotation is inspect.Parameter.empty:
        return _TYPES.get(parameter.name, str)
    return parameter.annotation


def _is_of(value: Any, kind: Any) -> bool:
    """Whether a value is of a resolver's type: of these here, and those that are made of them."""
    if isinstance(kind, UnionType):
        return any(_is_of(value, part) for part in get_args(kind))
    if is_typeddict(kind):
        return isinstance(value, dict) and all(
            key in value and _is_of(value[key], part) for key, part in kind.__annotations__.items()
        )
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_is_of(item, get_args(kind)[0]) for item in value)
    if kind is str:
        return isinstance(value, str) and _is_unicode(value)
    return kind is Any or (isinstance(value, kind) and isinstance(value, bool) == (kind is bool))


def _is_unicode(text: str) -> bool:
    """Whether no half of a surrogate pair is in it, which could be kept in JSON, and no name be made of then."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _words(kind: Any) -> str:
    """A type as GraphQL writes it."""
    if isinstance(kind, UnionType):
        return " or ".join(_words(part) for part in get_args(kind) if part is not NoneType)
    if is_typeddict(kind):
        return "{" + ", ".join(f"{key}: {_words(part)}" for key, part in kind.__annotations__.items()) + "}"
    if get_origin(kind) is list:
        return f"[{_words(get_args(kind)[0])}]"
    return {str: "String", int: "Int", bool: "Boolean"}.get(kind, "Any")
