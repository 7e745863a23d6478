"""A small server that the unmodified W&B SDK takes for W&B: tracking, sweeps and reading back, with no account.

    scaling-lab server                        serve outputs/local-wandb until Ctrl-C
    with serving(store) as server: …          the same for a command's duration, shared with others

`store` keeps (SQLite and files), `graphql` and `nodes` answer, `runs`, `sweeps` and `artifacts` know what about, `app`
lets requests in, `page` shows it to people, `server` and `serving` run it. Nothing here imports the rest of the package
but `errors`: the folder could be lifted out whole.
"""

from scaling_lab.localserver.serving import LocalServer, find_server, leaves_when_unused, serving, was_served_at

__all__ = ["LocalServer", "find_server", "leaves_when_unused", "serving", "was_served_at"]
