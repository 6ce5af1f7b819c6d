"""A path flows in, the page that answers it flows out."""

from django.urls import include, path

urlpatterns = [path("", include("traces.pages.urls"))]
