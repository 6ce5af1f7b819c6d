"""Objects and windows flow in, their addresses flow out."""

from django import template
from django.http import HttpRequest

register = template.Library()

STARTS = {"outline": "row", "conversation": "item", "problems": "problem"}


@register.simple_tag(takes_context=True)
def pane_link(context: template.Context, pane: str, start: int) -> str:
    """The page as it is asked for now, with another window of one pane."""
    request: HttpRequest = context["request"]
    query = request.GET.copy()
    query[STARTS[pane]] = str(start)
    return f"{request.path}?{query.urlencode()}#{pane}"
