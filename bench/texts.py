"""A seed flows in, texts like those of a coding session flow out, the same ones for the same seed."""

from __future__ import annotations

import base64
from random import Random

SHORTEST = 24
PAGE_WORDS = 40_000
# What makes JSON and byte offsets work: quotes, escapes, colours, line ends, characters of two to four bytes.
VOCABULARY = (
    "def parse(self, line: str) -> Token:\n",
    "    return [row for row in rows if row.total]\n",
    "assert invoice.total == Decimal('12.50')\n",
    'raise ValueError("no such account")\n',
    "diff --git a/ledger/book.py b/ledger/book.py\n",
    "@@ -41,7 +41,9 @@ ",
    "FAILED tests/test_book.py::test_rounding - AssertionError\n",
    "\x1b[32mPASSED\x1b[0m 214 tests in 3.02s\n",
    "C:\\ledger\\book\t",
    "src/ledger/journal.py:118: ",
    "the balance is carried over to the next page ",
    "read the whole file first, then change one line ",
    "größer als die Summe ",
    "le café n’est pas payé — à vérifier ",
    "残高が合わない ",
    "итог не сходится ",
    "done ✅ 🎉 ",
    "0x7ffd3a10 4096 8192 ",
    '{"account": 4711, "paid": true} ',
    "$ make test && git status --short\n",
)


class Texts:
    """Cuts pieces out of one long page; drawing each word anew would take longer than the reduction."""

    def __init__(self, random: Random, mean: int) -> None:
        self._random = random
        self._mean = mean
        self._prose = "".join(random.choices(VOCABULARY, k=PAGE_WORDS))
        self._plain = self._prose.encode("ascii", "ignore").decode()
        self._cipher = base64.b64encode(random.randbytes(400_000)).decode()

    def size(self, share: float = 1.0) -> int:
        """How long the next item is: mostly short, sometimes several times the mean."""
        drawn = self._random.gammavariate(2.0, self._mean / 2)
        return max(SHORTEST, int(share * min(drawn, 6 * self._mean)))

    def prose(self, size: int) -> str:
        """Words, code and output in several scripts."""
        return f"{self._cut(self._prose, size)} [{self._random.getrandbits(32):08x}]"

    def plain(self, size: int) -> str:
        """The same in ASCII."""
        return f"{self._cut(self._plain, size)} [{self._random.getrandbits(32):08x}]"

    def cipher(self, size: int) -> str:
        """What only the provider can read."""
        return f"gAAAA{self._cut(self._cipher, size)}{self._random.getrandbits(32):08x}"

    def _cut(self, page: str, size: int) -> str:
        start = self._random.randrange(len(page) - size)
        return page[start : start + size]
