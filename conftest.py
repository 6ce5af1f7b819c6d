"""Nothing flows in, the fixtures that every room's tests share flow out."""

import tempfile

pytest_plugins = [
    "pytester",
    "traces.tests.fixtures.recordings",
    "traces.tests.fixtures.clients",
    "traces.tests.fixtures.site",
    "traces.tests.fixtures.chromium",
]


TEMPORARY = tempfile.gettempdir()


def pytest_collection_finish() -> None:
    """The site's entry moves temporary files into its data folder; those of tests stay where they were."""
    tempfile.tempdir = TEMPORARY
