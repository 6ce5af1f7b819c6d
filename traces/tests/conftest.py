"""Settings flow in, the same settings with a data folder of the test run's own flow out."""

from collections.abc import Iterator

import pytest
from django.test import override_settings


@pytest.fixture(scope="session", autouse=True)
def own_data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests never write into the folder of a site that somebody uses."""
    data = tmp_path_factory.mktemp("data")
    with override_settings(TRACESITE_DATA=data, MEDIA_ROOT=data / "media"):
        yield
