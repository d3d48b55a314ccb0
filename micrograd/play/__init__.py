"""The playground: a local page on which a network trains, is watched, wound back and compared.

    micrograd play
    micrograd play --data houses.csv --target price

`serve` is what the command calls. The page comes from this machine, asks nothing of any other, and
is answered only with the token that stands in its address.
"""

from micrograd.play.config import Config
from micrograd.play.server import serve
from micrograd.play.session import Session

__all__ = ["Config", "Session", "serve"]
