"""What the fuzzer found, each find as small as it can be, flows in; the refusal it should have been flows out."""

import pytest

from traces.reducer import ReductionError
from traces.reducer.normalize import Source
from traces.reducer.requests import read_request

ITEM = b'{"type":"message","role":"user","content":[{"type":"input_text","text":"hello"}]}'
SOURCE = Source("raw_payload:1", 2)


@pytest.mark.parametrize("end", [b'],"stream":true}', b'],"stream":false}'])
def test_a_request_that_goes_on_with_an_abyss(end: bytes) -> None:
    _, last = read_request(b'{"input":[' + ITEM + b'],"stream":true}', None, SOURCE)
    assert last is not None
    deeper = b'{"input":[' + ITEM + b"," + b"[" * 5000 + b"]" * 5000 + end
    with pytest.raises(ReductionError, match="nested deeper than 127 levels"):
        read_request(deeper, last, SOURCE)
