import pytest
from serve_process import serving


@pytest.fixture(scope="module")
def server():
    """`emotion-ros serve` with default options."""
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    """An HTTP client of the server."""
    with server.client() as opened:
        yield opened
