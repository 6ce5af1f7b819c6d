"""Nothing flows in, the fixtures that every room's tests share flow out."""

pytest_plugins = [
    "pytester",
    "traces.tests.fixtures.recordings",
    "traces.tests.fixtures.clients",
    "traces.tests.fixtures.site",
    "traces.tests.fixtures.chromium",
]
