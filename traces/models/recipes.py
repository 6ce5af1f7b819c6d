"""A list of piece numbers flows in, a few bytes that say it as a difference to the list before flow out; and back.

A list is made of tokens: an even one is a piece (its number doubled); an odd one says which piece stands between all
that follow, or with number 0 that nothing does.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

NO_GLUE = 1


def piece_token(number: int) -> int:
    """This piece."""
    return number * 2


def glue_token(number: int) -> int:
    """From here on this piece stands between all others."""
    return number * 2 + 1


def differ(before: Sequence[int], tokens: Sequence[int], head: int = 0) -> tuple[int, int]:
    """How many tokens are kept from the list before at both ends; at least `head` are at the first."""
    shortest = min(len(before), len(tokens))
    head += same(before[head:shortest], tokens[head:shortest])
    return head, same(before[head:][::-1], tokens[head:][::-1])


def same(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (left, right) in pairs if left != right), min(len(one), len(other)))


def encode(head: int, tail: int, middle: Sequence[int]) -> bytes:
    """The bytes of a difference."""
    return b"".join(map(varint, (head, tail, *_deltas(middle))))


def decode(before: Sequence[int], recipe: bytes) -> list[int]:
    """The list that a difference to the list before stands for."""
    head, tail, *deltas = varints(recipe)
    tokens, last = list(before[:head]), 0
    for delta in deltas:
        last += (delta >> 1) ^ -(delta & 1)
        tokens.append(last)
    tokens.extend(before[len(before) - tail :])
    return tokens


def join(tokens: Iterable[int], pieces: Mapping[int, bytes]) -> bytes:
    """The bytes that the tokens stand for."""
    return b"".join(_laid_out(tokens, pieces))


def numbers(tokens: Iterable[int]) -> set[int]:
    """The pieces that the tokens name."""
    return {token >> 1 for token in tokens} - {0}


def _laid_out(tokens: Iterable[int], pieces: Mapping[int, bytes]) -> Iterator[bytes]:
    glue = b""
    for token in tokens:
        if token & 1:
            glue = pieces[token >> 1] if token != NO_GLUE else b""
        else:
            yield glue
            yield pieces[token >> 1]


def _deltas(tokens: Iterable[int]) -> Iterator[int]:
    """Neighbours have similar numbers; a step back is odd, one forward even."""
    last = 0
    for token in tokens:
        delta, last = token - last, token
        yield delta * 2 if delta >= 0 else -delta * 2 - 1


def varint(number: int) -> bytes:
    """Seven bits to a byte, the lowest first."""
    if number < 128:
        return bytes((number,))
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def varints(data: bytes) -> Iterator[int]:
    """The numbers of a row of them."""
    number = shift = 0
    for byte in data:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield number
            number = shift = 0
