"""Tests of the page that is updated while a sweep runs."""

import json
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from exeunt.results.report.server import served


@pytest.fixture
def server():
    with served("nothing yet") as started:
        yield started


def answer(address, path, **headers):
    connection = HTTPConnection(urlsplit(address).netloc, timeout=10)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    return response.status, response.read().decode()


def test_the_newest_page_is_served_with_its_version(server):
    assert server.address.startswith("http://127.0.0.1:")
    assert answer(server.address, "/page") == (200, "nothing yet")
    for version, (page, ended) in enumerate([("first", False), ("last", True)], start=1):
        server.show(page, ended=ended)
        assert answer(server.address, "/page") == (200, page)
        assert json.loads(answer(server.address, "/version")[1]) == {"version": version, "ended": ended}
    assert answer(server.address, "/other")[0] == 404


def test_a_page_of_another_host_reads_nothing(server):
    assert answer(server.address, "/page", Host="example.org")[0] == 403


def test_no_port_stays_open():
    with served("nothing yet") as started:
        address = started.address
    with pytest.raises(ConnectionRefusedError):
        answer(address, "/")


@pytest.mark.slow
def test_an_open_browser_loads_each_version(server, browser):
    server.show("<title>one</title><p>first", ended=False)
    page = browser.new_page()
    page.goto(server.address)
    page.frame_locator("iframe").get_by_text("first").wait_for()
    server.show("<title>two</title><p>second", ended=True)
    page.frame_locator("iframe").get_by_text("second").wait_for()
    page.get_by_role("status").get_by_text("The sweep has ended").wait_for()
    page.close()
