"""Inference calls flow in as they change, the sums over all of them flow out without counting them again."""

from collections import Counter

from traces.models.rollouts import no_counts
from traces.reducer.graph import InferenceCall

Tokens = tuple[int, int, int, int]
NO_TOKENS: Tokens = (0, 0, 0, 0)


class Sums:
    """How many calls ended how, and what they cost."""

    def __init__(self) -> None:
        self.calls: dict[str, tuple[str, Tokens | None]] = {}
        self.statuses: Counter[str] = Counter()
        self.tokens: Tokens = NO_TOKENS
        self.without_usage = 0

    def take(self, call: InferenceCall) -> None:
        """Counts a call, or counts it anew."""
        before = self.calls.get(call.inference_call_id)
        if before is not None:
            self._add(*before, sign=-1)
        now = (call.execution.status, tokens_of(call))
        self.calls[call.inference_call_id] = now
        self._add(*now, sign=1)

    def _add(self, status: str, tokens: Tokens | None, sign: int) -> None:
        self.statuses[status] += sign
        self.without_usage += sign if tokens is None else 0
        a, b, c, d = self.tokens
        e, f, g, h = tokens or NO_TOKENS
        self.tokens = (a + sign * e, b + sign * f, c + sign * g, d + sign * h)

    def counts(self) -> dict[str, int]:
        """Calls by status, every status named."""
        return {status: self.statuses[status] for status in no_counts()}


def tokens_of(call: InferenceCall) -> Tokens | None:
    """In, of these cached, out, of these reasoning; None where the provider counted nothing."""
    usage = call.usage
    if usage is None:
        return None
    return usage.input_tokens, usage.cached_input_tokens, usage.output_tokens, usage.reasoning_output_tokens
