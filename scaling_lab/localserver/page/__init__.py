"""The pages for people: projects, runs with their curves, sweeps with their trials, drawn on the server.

    http://127.0.0.1:8620/                            projects, what trains now, the newest runs
    …/{entity}/{project}, …/runs/{name}, …/sweeps/{id}  the addresses that the SDK prints

`views` says which address shows what, `reading` asks the store, `curves` and `drawing` make figures as SVG, `formats`
turns numbers and names into what people read, `render` fills the templates in and forbids the browser everything else.
"""

from scaling_lab.localserver.page.session import cookie_of, login_address
from scaling_lab.localserver.page.views import not_found, page_routes

__all__ = ["cookie_of", "login_address", "not_found", "page_routes"]
