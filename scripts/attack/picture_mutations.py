"""Changes of pictures by their structure: segments of JPEG, chunks of PNG and WebP, the header of BMP."""

import struct
import zlib

from mutation import extreme, mutate_bytes, mutate_parts

CHECKSUM_SHARE = 0.8
"""Share of the changed PNG chunks that get a valid checksum: readers refuse others at once."""

HEADER_BYTES = 64
"""Beginning of a picture in which most of its numbers lie."""


def mutate_picture(content, random):
    """Return a picture with changes of its structure, or of its bytes."""
    if random.random() < 0.3:
        return mutate_bytes(content, random, random.choice((HEADER_BYTES, None)))
    if content.startswith(b"\x89PNG"):
        return content[:8] + b"".join(mutate_parts(png_chunks(content), random, _change_png_chunk))
    if content.startswith(b"\xff\xd8"):
        return b"\xff\xd8" + b"".join(mutate_parts(jpeg_segments(content), random, _change_segment))
    if content.startswith(b"RIFF"):
        return _riff(mutate_parts(webp_chunks(content), random, _change_webp_chunk), random)
    return mutate_bytes(content, random, HEADER_BYTES)


def jpeg_segments(content):
    """Return the segments of a JPEG after its start; that of a scan includes its data."""
    segments, position = [], 2
    while position + 4 <= len(content) and content[position] == 0xFF:
        end = position + 2 + int.from_bytes(content[position + 2 : position + 4], "big")
        if content[position + 1] == 0xDA:  # the data of a scan end at the next marker that is no stuffing or restart
            while end < len(content) - 1 and not (
                content[end] == 0xFF and content[end + 1] not in (0, *range(0xD0, 0xD8))
            ):
                end += 1
        segments.append(content[position:end])
        position = end
    return [*segments, content[position:]]


def _change_segment(segment, random):
    """Change a segment's marker, length, or content; the length fits the content most of the time."""
    kind = random.randrange(4)
    if kind == 0 or len(segment) < 6:
        return segment[:1] + bytes([random.randrange(0xC0, 0xFF)]) + segment[2:]
    if kind == 1:
        return segment[:2] + extreme(random, 2).to_bytes(2, "big") + segment[4:]
    content = mutate_bytes(segment[4:], random, 40)
    length = (len(content) + 2) % 65536 if kind == 2 else int.from_bytes(segment[2:4], "big")
    return segment[:2] + length.to_bytes(2, "big") + content


def png_chunks(content):
    """Return the chunks of a PNG, each with its length, name and checksum."""
    chunks, position = [], 8
    while position < len(content):
        end = position + 12 + int.from_bytes(content[position : position + 4], "big")
        chunks.append(content[position:end])
        position = end
    return chunks


def png_chunk(name, content):
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _change_png_chunk(chunk, random):
    """Change a chunk's length, name or content, or let its packed pixels be others."""
    name, content = chunk[4:8], chunk[8:-4]
    kind = random.randrange(5)
    if kind == 0:
        return extreme(random, 4).to_bytes(4, "big") + chunk[4:]
    if kind == 1:
        name = random.choice((b"acTL", b"fcTL", b"fdAT", b"PLTE", b"tRNS", b"eXIf", b"iCCP", b"zTXt", b"IDAT", b"IEND"))
    elif kind == 2 and name == b"IDAT":
        content = zlib.compress(bytes(random.choice((0, 100, 10_000, 1_000_000))))
    else:
        content = mutate_bytes(content, random)
    made = png_chunk(name, content)
    return made if random.random() < CHECKSUM_SHARE else made[:-4] + random.randbytes(4)


def webp_chunks(content):
    """Return the chunks of a WebP, each with its name and length."""
    chunks, position = [], 12
    while position + 8 <= len(content):
        end = position + 8 + (int.from_bytes(content[position + 4 : position + 8], "little") + 1) // 2 * 2
        chunks.append(content[position:end])
        position = end
    return chunks


def _change_webp_chunk(chunk, random):
    """Change a chunk's name, length, or content."""
    kind = random.randrange(4)
    if kind == 0:
        names = (b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"EXIF", b"ICCP")
        return random.choice(names) + chunk[4:]
    if kind == 1:
        return chunk[:4] + extreme(random, 4).to_bytes(4, "little") + chunk[8:]
    content = mutate_bytes(chunk[8:], random, 32)
    return chunk[:4] + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _riff(chunks, random):
    content = b"WEBP" + b"".join(chunks)
    length = len(content) if random.random() < 0.9 else extreme(random, 4)
    return b"RIFF" + struct.pack("<I", length) + content
