"""Changes of bytes, numbers and parts that parsers tend to take badly."""

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
"""Limits of the integer types of 8, 16 and 32 bits."""

MAX_BYTES = 200_000
"""Length above which an input does not grow any more."""


def extreme(random, size):
    """Return an integer at or beside a limit of its type, in ``size`` bytes."""
    return (random.choice(EXTREMES) + random.choice((0, 0, 0, -1, 1))) % (1 << 8 * size)


def mutate_bytes(content, random, within=None):
    """Return bytes with one to four changes, in the first ``within`` ones."""
    data = bytearray(content)
    for _ in range(random.randint(1, 4)):
        start = random.randrange(max(min(len(data), within or len(data)), 1))
        _change(data, start, random)
    return bytes(data)


def _change(data, start, random):
    length = random.randint(1, 8)
    kind = random.randrange(6)
    if kind == 0:
        data[start : start + length] = random.randbytes(length)
    elif kind == 1:
        size = random.choice((1, 2, 4))
        data[start : start + size] = extreme(random, size).to_bytes(size, random.choice(("big", "little")))
    elif kind == 2:
        del data[start : start + length]
    elif kind == 3:
        data[start:start] = data[start : start + length]
    elif kind == 4 and data:
        data[start % len(data)] ^= 1 << random.randrange(8)
    else:
        del data[start + random.randrange(len(data) + 1) :]


def mutate_parts(parts, random, change):
    """Return a sequence with one to three of its parts removed, repeated, moved, swapped, or changed by ``change``."""
    made = list(parts)
    for _ in range(random.randint(1, 3)):
        if not made:
            return made
        place, other = random.randrange(len(made)), random.randrange(len(made))
        kind = random.randrange(8)
        if kind == 0:
            del made[place]
        elif kind == 1 and sum(map(len, made)) < MAX_BYTES:
            made[place:place] = [made[other]] * random.choice((1, 2, 70))
        elif kind == 2:
            made[place], made[other] = made[other], made[place]
        else:
            made[place] = change(made[place], random)
    return made


def mutate_value(value, random, pool):
    """Return nested lists and mappings with one element, key or the whole replaced by another value of a pool."""
    if not isinstance(value, dict | list) or not value or random.random() < 0.2:
        return random.choice(pool)
    if isinstance(value, dict):
        key = random.choice([*value])
        changed = mutate_value(value[key], random, pool)
        return {**value, key: changed} if random.random() < 0.9 else {**value, str(random.choice(pool))[:70]: changed}
    place = random.randrange(len(value))
    return [*value[:place], mutate_value(value[place], random, pool), *value[place + 1 :]]
