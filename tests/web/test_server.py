"""The dashboard's server: who is let in, what it gives, what can be asked of it. Read by clients that are not ours."""

import asyncio
import json
import socket
import time
import urllib.error
import urllib.request
from http.client import HTTPConnection
from http.cookiejar import CookieJar

import pytest
import simpy
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from ticktalk import TTError, TTRuntimeManagerSim, compile_program
from ticktalk.cli.dashboard import SimulatedPages, acts, address
from ticktalk.payloads import OutputToken
from ticktalk.web.latest_looks import Streams
from ticktalk.web.metrics import metrics_text
from ticktalk.web.server import Dashboard

PROGRAM = """
from ticktalk import GRAPHify, SQify, STREAMify, TTClock


@STREAMify
def sample(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]


@SQify
def judge(n):
    if n == 3:
        raise ValueError("<b>three</b>")
    return {"n": n}


@GRAPHify
def main(trigger):
    with TTClock.root() as clock:
        return judge(sample(trigger, TTClock=clock, TTPeriod=500000, TTPhase=0, TTDataIntervalWidth=100000))
"""


@pytest.fixture
def system(tmp_path):
    (tmp_path / "prog.py").write_text(PROGRAM)
    graph = compile_program(tmp_path / "prog.py")
    env = simpy.Environment()
    with TTRuntimeManagerSim(None, [], env) as manager:
        pages = Dashboard(manager.process.state, None, acts(manager), 0)
        manager.on_output(pages.output, notes=True)
        manager.instantiate_and_map_graph(graph)
        manager.execute_graph(graph)
        for second in range(1, 6):
            env.run(until=second * 1_000_000)
            pages.look(manager.status())
        try:
            yield manager, pages
        finally:
            pages.close()


def get(pages, path, *, secret=True, **headers):
    if secret:
        headers["Authorization"] = "Bearer " + pages.address.partition("token=")[2]
    request = urllib.request.Request(pages.address.partition("/?")[0] + path, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


def post(pages, act, body, **headers):
    headers["Authorization"] = "Bearer " + pages.address.partition("token=")[2]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    address = pages.address.partition("/?")[0] + "/api/do/" + act
    try:
        with urllib.request.urlopen(urllib.request.Request(address, content, headers), timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error) if error.code != 403 else None


def refused(call, *arguments, **more):
    with pytest.raises(urllib.error.HTTPError) as error:
        call(*arguments, **more)
    return error.value.code


PATHS = ["/", "/page/app.js", "/api/status", "/api/looks", "/api/looks/1", "/api/graphs/prog.svg", "/metrics"]


@pytest.mark.parametrize("path", PATHS)
def test_without_the_secret_the_server_gives_nothing(path, system):
    _, pages = system
    assert refused(get, pages, path, secret=False) == 403
    assert refused(get, pages, path, secret=False, Authorization="Bearer no") == 403
    assert refused(get, pages, path + "?token=no", secret=False) == 403
    assert get(pages, path)


def test_a_browser_keeps_the_secret_in_a_cookie_and_out_of_the_address(system):
    _, pages = system
    jar = CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    with browser.open(pages.address, timeout=60) as answer:
        assert answer.url.endswith("/") and "token" not in answer.url
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    (cookie,) = jar
    assert cookie.has_nonstandard_attr("HttpOnly") and cookie.get_nonstandard_attr("SameSite") == "strict"
    with browser.open(pages.address.partition("/?")[0] + "/api/status", timeout=60) as answer:
        assert json.load(answer)["manager"] == "runtime-manager"


def test_a_page_of_another_server_is_not_let_in(system):
    manager, pages = system
    assert post(pages, "stop", {"graph": "prog"}, Origin="http://elsewhere.example")[0] == 403
    for hidden in ("null", "", "http://"):  # a page with `no-referrer`, or in a sandbox, hides its origin
        assert post(pages, "stop", {"graph": "prog"}, Origin=hidden)[0] == 403
    assert list(manager.process.state.graphs) == ["prog"]
    own = pages.address.partition("/?")[0]
    assert post(pages, "stop", {"graph": "prog"}, Origin=own) == (200, {"told": "prog is stopped"})


def test_the_live_socket_sends_looks_and_new_outputs_only_to_those_let_in(system):
    _, pages = system
    live = pages.address.partition("/?")[0].replace("http", "ws", 1) + "/api/live"
    with pytest.raises(InvalidStatus):
        connect(live)
    secret = {"Authorization": "Bearer " + pages.address.partition("token=")[2]}
    with connect(live, additional_headers=secret) as socket_:
        first = json.loads(socket_.recv(timeout=60))
    assert first["look"]["number"] == 5
    assert first["look"]["errors"] == 1
    (error,) = first["look"]["latest_errors"]
    assert "<b>three</b>" in error["text"] and "prog.py" in error["traceback"]
    assert first["outputs"]["prog/judge-1"]["count"] == 8
    assert first["outputs"]["prog/judge-1"]["points"][0] == [500_000, None, '{"n": 1}']


def test_a_page_that_waits_for_looks_leaves_nothing_behind(system, monkeypatch):
    _, pages = system
    monkeypatch.setattr("ticktalk.web.server.AGAIN", 0.01)
    secret = {"Authorization": "Bearer " + pages.address.partition("token=")[2]}
    live = pages.address.partition("/?")[0].replace("http", "ws", 1) + "/api/live"
    with connect(live, additional_headers=secret) as socket_:
        for _ in range(30):
            socket_.recv(timeout=60)
        waiting = [task for task in asyncio.all_tasks(pages._loop) if "Event.wait" in repr(task)]
    assert len(waiting) <= 2, "the server's own, and the page's"


def test_outputs_of_an_sq_that_comes_again_are_shown(monkeypatch):
    monkeypatch.setattr("ticktalk.web.latest_looks.ROWS", 1)
    streams = Streams()
    known = {}
    seen = []
    for sq in ("a", "a", "b", "a", "b", "a"):
        streams.add(OutputToken("prog", 7, 0, 10, sq, "edge"))
        new = streams.since(known)
        known.update({name: row["count"] for name, row in new.items()})
        seen += [(name, len(row["points"])) for name, row in new.items()]
    assert seen == [("prog/a", 1), ("prog/a", 1), ("prog/b", 1), ("prog/a", 1), ("prog/b", 1), ("prog/a", 1)]


def test_looks_are_kept_by_number(system):
    _, pages = system
    span = json.loads(get(pages, "/api/looks"))
    assert span == [[number, number * 1_000_000] for number in range(1, 6)]
    outputs = [json.loads(get(pages, f"/api/looks/{number}"))["graphs"][0]["outputs"] for number, _ in span]
    assert outputs == [1, 2, 4, 6, 8], "instants at 0.5, 1.0, ...; the third one raised"
    assert refused(get, pages, "/api/looks/99") == 404


def test_the_picture_is_that_of_the_placed_graph(system):
    _, pages = system
    picture = get(pages, "/api/graphs/prog.svg")
    assert 'data-sq="judge-1"' in picture and 'data-host="runtime-manager"' in picture
    assert refused(get, pages, "/api/graphs/none.svg") == 404


def test_metrics_are_read_by_prometheus(system):
    _, pages = system
    families = {family.name: family for family in text_string_to_metric_families(get(pages, "/metrics"))}
    outputs = families["ticktalk_outputs"].samples[0]
    assert (outputs.labels, outputs.value) == ({"graph": "prog"}, 8)
    assert [(sample.labels["kind"], sample.value) for sample in families["ticktalk_sq_events"].samples] == [
        ("errors", 1)
    ]
    assert families["ticktalk_firing_errors"].samples[0].value == 1


def test_lost_tokens_are_no_counter_as_one_that_comes_late_is_lost_no_more(system):
    manager, _ = system
    status = manager.status()
    events = []
    for lost in (3, 1):
        status["graphs"][0]["counters"]["judge-1"] = {"lost": lost, "late": 2}
        families = {each.name: each for each in text_string_to_metric_families(metrics_text(status).decode())}
        family = families["ticktalk_sq_lost_tokens"]
        (sample,) = family.samples
        assert (family.type, sample.labels, sample.value) == ("gauge", {"graph": "prog", "sq": "judge-1"}, lost)
        events.append([(each.labels["kind"], each.value) for each in families["ticktalk_sq_events"].samples])
    assert events == [[("late", 2)]] * 2


@pytest.mark.parametrize(
    ("act", "body", "status", "text"),
    [
        ("stop", {"graph": "none"}, 400, "there is no graph"),
        ("stop", {}, 400, "graph is missing"),
        ("stop", {"graph": 7}, 400, "a text is wanted, not 7"),
        ("stop", [], 400, "a JSON object is wanted"),
        ("stop", b"{", 400, "Expecting"),
        ("drain", {"ensemble": "none"}, 400, "SQs do not move in this simulation"),
        ("set", {"graph": "prog", "sq": "sample-1", "period": "3"}, 400, "is no duration"),
        ("deploy", {"file": "x.txt", "text": ""}, 400, "a program (.py) or a compiled graph"),
        ("deploy", {"file": "../x.py", "text": "def ("}, 400, "x.py:1"),
        ("shut_down", {}, 404, "cannot be asked for"),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_done_is_answered_with_the_reason(act, body, status, text, system):
    _, pages = system
    code, told = post(pages, act, body)
    assert (code, text in told["error"]) == (status, True), told


def test_a_program_is_deployed_started_set_and_stopped(system, tmp_path):
    manager, pages = system
    assert post(pages, "deploy", {"file": "two.py", "text": PROGRAM, "name": ""}) == (
        200, {"told": "two is ready: 2 SQs on 1 hosts"}
    )  # fmt: skip
    assert post(pages, "set", {"graph": "two", "sq": "sample-1", "period": "250ms"})[0] == 200
    assert manager.process.state.graphs["two"].grids["sample-1"].period == 250_000
    assert post(pages, "stop", {"graph": "two"}) == (200, {"told": "two is stopped"})


def test_a_request_without_bound_is_refused(system, monkeypatch):
    _, pages = system
    monkeypatch.setattr("ticktalk.web.server.LONGEST_GRAPH", 1000)
    assert post(pages, "deploy", b"x" * 2000)[0] == 413


def test_a_port_in_use_and_an_address_that_is_none_are_errors(system):
    manager, _ = system
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(TTError, match="give another port"):
        Dashboard(manager.process.state, None, {}, taken.getsockname()[1])
    assert [address(web) for web in ("8080", ":0", "0.0.0.0:9", "[::1]:80")] == [
        ("127.0.0.1", 8080), ("127.0.0.1", 0), ("0.0.0.0", 9), ("::1", 80)
    ]  # fmt: skip


def test_a_look_that_fails_ends_no_looks(system, caplog):
    manager, _ = system
    asked = []

    def status():
        asked.append(1)
        if len(asked) == 1:
            raise RuntimeError("a defect")
        return manager.status()

    pages = Dashboard(manager.process.state, status, {}, 0)
    try:
        end = time.monotonic() + 30
        while not pages._looks.newest[0] and time.monotonic() < end:
            time.sleep(0.01)
        assert pages._looks.newest[0] >= 1
        assert "could not look at the system" in caplog.text
    finally:
        pages.close()


def test_connections_without_the_secret_take_no_room_from_others(system):
    """Two hundred that say nothing: the oldest are closed, and whoever has the secret gets in."""
    _, pages = system
    port = int(pages.address.split(":")[2].split("/")[0])
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
    try:
        assert json.loads(get(pages, "/api/status"))["manager"] == "runtime-manager"
        idle[0].settimeout(20)
        try:
            assert idle[0].recv(1) == b""
        except ConnectionResetError:
            pass  # it is closed in any case
    finally:
        for each in idle:
            each.close()


def test_a_stranger_s_headers_are_bounded(system):
    """Also where uvicorn has found a faster parser, which keeps all that comes."""
    _, pages = system
    with socket.create_connection(("127.0.0.1", pages._port)) as stranger:
        stranger.settimeout(60)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            stranger.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
            for _ in range(100_000):
                stranger.sendall(b"X: " + b"x" * 1000 + b"\r\n")


def test_a_simulation_without_a_known_end_is_looked_at_while_it_runs(tmp_path):
    window = "sample(COPY_TTTIME(trigger, VALUES_TO_TTTIME(0, 20000000)),"
    names = "TTClock, COPY_TTTIME, VALUES_TO_TTTIME\n"
    text = PROGRAM.replace("sample(trigger,", window).replace("TTClock\n", names, 1)
    (tmp_path / "prog.py").write_text(text)
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    pages = SimulatedPages("0", manager)
    try:
        manager.instantiate_and_map_graph(compile_program(tmp_path / "prog.py"))
        manager.execute_graph("prog")
        pages.watch()
        manager.simulation.run()
        looks = [now for _, now in pages._pages._looks.span()]
        assert looks and looks == sorted(looks) and looks[0] == 10_000
        assert manager.status()["now"] == 20_000_000
    finally:
        pages._pages.close()


def test_a_reverse_proxy_lets_browsers_in_by_the_secret_only_and_under_its_own_name(system, caplog):
    _, pages = system
    forwarded = {"X-Forwarded-For": "203.0.113.7, 10.0.0.1", "X-Forwarded-Host": "town.example"}
    assert refused(get, pages, "/api/status", secret=False, **forwarded) == 403
    assert refused(get, pages, "/api/status", secret=False, **{"X-Forwarded-For": "127.0.0.1"}) == 403
    # A browser that knows the server by the proxy's name is on its own page, another page is not.
    stop = "stop", {"graph": "none"}
    assert post(pages, *stop, Origin="https://town.example", **forwarded)[0] == 400
    assert post(pages, *stop, Origin="https://elsewhere.example", **forwarded)[0] == 403
    assert post(pages, *stop, Origin="https://town.example")[0] == 403
    assert caplog.text.count("is forwarded to '203.0.113.7'") == 1, "told once: the proxy does not encrypt"


def test_a_proxy_that_encrypts_is_not_warned_of_and_the_cookie_stays_encrypted(system, caplog):
    _, pages = system
    jar = CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar), NoRedirect)
    headers = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
    with pytest.raises(urllib.error.HTTPError, match="303"):
        browser.open(urllib.request.Request(pages.address, headers=headers), timeout=60)
    (cookie,) = jar
    assert cookie.secure and "forwarded" not in caplog.text


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments):
        return None


def test_a_connection_that_a_proxy_keeps_is_no_stranger_once_the_secret_was_shown(system):
    """The forwarded address is another one than the connection's, whose peer has shown the secret."""
    _, pages = system
    port = int(pages.address.split(":")[2].split("/")[0])
    headers = {"Authorization": "Bearer " + pages.address.partition("token=")[2], "X-Forwarded-Proto": "https"}
    proxy = HTTPConnection("127.0.0.1", port, timeout=60)
    proxy.auto_open = 0  # no other connection instead
    proxy.connect()
    others = []
    try:
        for _ in range(2):
            proxy.request("GET", "/api/status", headers={**headers, "X-Forwarded-For": "203.0.113.7"})
            assert json.load(proxy.getresponse())["manager"] == "runtime-manager"
            others += [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
            get(pages, "/api/status")  # it has come after those
    finally:
        for each in (proxy, *others):
            each.close()
