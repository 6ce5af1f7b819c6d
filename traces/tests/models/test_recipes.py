"""Lists of pieces and the few bytes that say them."""

import random

from traces.models import recipes
from traces.models.recipes import NO_GLUE, glue_token, piece_token


def test_a_list_comes_back_from_its_difference() -> None:
    chance = random.Random(3)
    before: list[int] = []
    for _ in range(300):
        cut = chance.randrange(len(before) + 1)
        tokens = before[:cut] + [chance.randrange(2, 2**40) for _ in range(chance.randrange(6))] + before[cut + 2 :]
        head, tail = recipes.differ(before, tokens)
        recipe = recipes.encode(head, tail, tokens[head : len(tokens) - tail])
        assert recipes.decode(before, recipe) == tokens
        before = tokens


def test_a_list_that_grows_takes_few_bytes() -> None:
    before = [piece_token(number) for number in range(1000, 4000)]
    tokens = [*before[:-1], piece_token(4001), piece_token(4002), before[-1]]
    head, tail = recipes.differ(before, tokens)
    assert (head, tail) == (2999, 1)
    assert len(recipes.encode(head, tail, tokens[head:-tail])) < 10


def test_glue_stands_between_pieces() -> None:
    pieces = {1: b"[", 2: b"a", 3: b", ", 4: b"b", 5: b"c", 6: b"]"}
    tokens = [*map(piece_token, (1, 2)), glue_token(3), *map(piece_token, (4, 5)), NO_GLUE, piece_token(6)]
    assert recipes.join(tokens, pieces) == b"[a, b, c]"
    assert recipes.numbers(tokens) == set(pieces)
