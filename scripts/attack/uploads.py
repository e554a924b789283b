"""Request bodies of the HTTP service: pictures, and forms with hostile parts."""

import asyncio
import random

from mutation import mutate_bytes, mutate_parts
from pictures import MAX_PIXELS, hostile_pictures, pictures
from starlette.exceptions import HTTPException
from starlette.requests import Request
from target import Target

from emotion_ros.serving.uploads import UploadLimits, decode_image, read_uploads

LIMITS = UploadLimits(8 << 20, MAX_PIXELS)

HEADERS = (
    b'Content-Disposition: form-data; name="images"; filename="a.png"',
    b"Content-Disposition: form-data; name=images; filename*=utf-8''%ff",
    b"Content-Type: image/png",
    b"Content-Transfer-Encoding: base64",
    b"Content-Disposition: form-data",
    b"Content-Disposition: form-data; name=other",
    b"x" * 20_000,
    b"a: b\r\n" * 50,
)
TYPES = (
    "multipart/form-data",
    "multipart/form-data; boundary={0}; charset=utf-7",
    'multipart/form-data; boundary="{0}"',
)

ORIGINALS = pictures()

KNOWN_STATUS = frozenset({400, 413, 415, 422})


def bodies(seed):
    """Yield a content type and a body: a picture, or a form of pictures, with changes of its structure."""
    generator, contents = random.Random(seed), hostile_pictures(seed)
    for content in contents:
        yield "image/png", content
        for _ in range(3):
            yield form(generator)


def form(random):
    """Return a content type and the body of a form; parts, headers and boundaries are changed."""
    boundary = random.choice((b"b", b"b" * 70, b"b" * 500, b"-", b""))
    parts = [_part(random.choice(ORIGINALS), random) for _ in range(random.choice((0, 1, 1, 2, 20)))]
    parts = mutate_parts(parts, random, mutate_bytes) if random.random() < 0.5 else parts
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"
    kind = random.choice((*TYPES, *[TYPES[-1]] * 5)).format(boundary.decode())
    return kind, mutate_bytes(body, random) if random.random() < 0.3 else body


def _part(picture, random):
    chosen = [HEADERS[0], *random.sample(HEADERS, random.choice((0, 0, 1, 2)))]
    random.shuffle(chosen)
    return b"\r\n".join(chosen) + b"\r\n\r\n" + (picture if random.random() < 0.7 else mutate_bytes(picture, random))


def _read(value):
    return asyncio.run(_upload(*value))


async def _upload(kind, body):
    """Read and decode the images of a request; return False if it is refused with a documented status."""
    blocks = [body[start : start + 10_000] for start in range(0, len(body), 10_000)] or [b""]

    async def receive():
        block = blocks.pop(0)
        return {"type": "http.request", "body": block, "more_body": bool(blocks)}

    scope = {"type": "http", "method": "POST", "path": "/v1/detect", "headers": [(b"content-type", kind.encode())]}
    try:
        for upload in await read_uploads(Request(scope, receive), LIMITS):
            await decode_image(upload)
    except HTTPException as error:
        if error.status_code not in KNOWN_STATUS:
            raise
        return False
    return True


TARGETS = {"read uploads and forms": Target(bodies, _read, (), 8_000, 1.0, 100)}
