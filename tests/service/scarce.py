"""A service in a process of its own, which may have few files open: `python -m tests.service.scarce FOLDER`."""

import sys
import threading
from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from aerodb.logs import configure
from aerodb.transport.server import Server, listen
from aerodb.transport.tls import tls_in

configure("json", "scarce")
bound = listen("127.0.0.1:0")
sys.stdout.write(f"127.0.0.1:{bound.getsockname()[1]}\n")
sys.stdout.flush()
answers = Starlette(routes=[Route("/", lambda _: Response(b"here"))])
Server(answers, tls_in(Path(sys.argv[1]))).run_on(bound, threading.Event())
