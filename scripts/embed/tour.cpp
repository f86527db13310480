// A tour of moonwire.hpp: a small world whose rules are a script. Each stop checks what it shows and says so; the status is 0 when
// all of them are right.
// Knows: moonwire.hpp, pipe(2), threads; uv.h if it is there, for the stop about a borrowed loop. Never: a library below moonwire.h.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <thread>
#include <unistd.h>

#include <csignal>

#include "moonwire.hpp"

#if __has_include(<uv.h>) && defined(WITH_UV)
#include <uv.h>
#define BORROWED 1
#endif

static int wrong;

static void stop(const char *name, bool right) {
    std::printf("%s %s\n", right ? "ok" : "NOT OK", name);
    if (!right) wrong++;
}

// Steps as a game would, until nothing is left to do or `until` says so.
template <class F> static void frames(mw::host &h, F until) {
    mw_step st{};
    for (int frame = 0; frame < 5000 && !until(); frame++) {
        h.step(2000, st).or_throw();
        usleep(200);
    }
}

struct point {
    double x, y;
};

// ---- Functions: what scripts may call ------------------------------------------------------------------------------------------

static void functions() {
    std::string printed;
    mw::options o;
    o.on_print = [&](std::string_view text) { printed += text; };
    o.on_error = [](const mw_err &err, const char *traceback) { std::printf("# %s\n%s\n", err.message, traceback); };
    mw::host h(std::move(o));
    std::map<std::string, point> world{{"tree", {3, 4}}};

    h.define("distance", [&](const std::string &name) -> std::optional<double> {
        auto it = world.find(name);
        if (it == world.end()) return std::nullopt;
        return std::hypot(it->second.x, it->second.y);
    }).or_throw();
    h.define("place", [&](std::string name, double x, std::optional<double> y) { world[name] = {x, y.value_or(0)}; }).or_throw();
    h.define("names", [&] {
        std::vector<std::string> all;
        for (auto &[name, at] : world) all.push_back(name);
        return all;
    }).or_throw();
    h.define("minmax", [](const std::vector<std::int64_t> &list) {
        return std::tuple(list.front(), list.back(), list.size() > 1);
    }).or_throw();
    h.define("by_hand", [](mw::call &c) {
        if (c.count() == 0) return c.fail(MW_ENOENT, "nobody is there");
        return c.count() * 100 + c.type(1);
    }).or_throw();
    h.define("whole", [](mw::value v) { return mw::values(v["deep"]["list"]); }).or_throw();
    h.define("throws", []() -> int { throw std::runtime_error("from C++"); }).or_throw();
    h.load(R"lua(
        local host = require "moonwire".host
        assert(host.distance("tree") == 5.0 and host.distance("moon") == nil)
        host.place("stone", 1)
        assert(#host.names() == 2 and host.names()[1] == "stone")
        local least, most, several = host.minmax{ 1, 5, 9 }
        assert(least == 1 and most == 9 and several == true)
        assert(host.whole{ deep = { list = { 7, 8 } } }[2] == 8)
        local nobody, err = host.by_hand()
        assert(nobody == nil and err.code == "ENOENT", err)
        assert(host.by_hand("x", 2) == 204)
        local ok, why = pcall(host.place, "stone", "far")
        assert(not ok and tostring(why):find("number expected", 1, true), why)
        local none, thrown = host.throws()
        assert(none == nil and tostring(thrown):find("from C++", 1, true), thrown)
        print("functions done")
    )lua", "=functions.lua").or_throw();
    int exit_status = -1;
    h.run(exit_status).or_throw();
    stop("a script calls lambdas with typed arguments", exit_status == 0 && printed == "functions done\n");
    stop("and changes what they belong to", world.count("stone") == 1 && world["stone"].x == 1.0);
    stop("a name that cannot be one is refused", !h.define("on", [] {}) && !h.define("a b", [] {}));
    stop("and a function can be taken away", bool(h.undefine("distance")));
}

// ---- Messages: both ways, from any thread ----------------------------------------------------------------------------------------

static void messages() {
    std::vector<std::string> topics;
    double sum = 0;
    std::int64_t last = 0;
    mw::options o;
    o.on_message = [&](std::string_view topic, mw::value args) {
        topics.emplace_back(topic);
        if (topic == "score") {
            auto who = args.take<std::string>();
            auto points = args.take<std::int64_t>();
            if (who && points) last = *points;
        }
        if (topic == "moved") sum += args["x"].or_else(0.0) + args["at"].as<std::vector<double>>().value_or(std::vector<double>{}).size();
    };
    mw::host h(std::move(o));
    h.load(R"lua(
        local mw = require "moonwire"
        local count = 0
        mw.host.on("hit", function(who, points, more)
          count = count + points
          mw.host.emit("score", who, count)
          mw.host.emit("moved", { x = 0.5, at = { 1, 2 }, more = more })
        end)
        mw.host.handle("total", function(add) return count + add, "points" end)
        mw.host.handle("sleeper", function() mw.task.sleep(1) end)
        mw.task.wait()
    )lua", "=messages.lua").or_throw();
    std::thread other([&] {
        for (int i = 0; i < 50; i++)
            while (h.post("hit", "other", 2, std::map<std::string, int>{{"turn", i}}).code() == MW_EAGAIN) usleep(100);
    });
    for (int i = 0; i < 50; i++) h.post("hit", "main", 1, nullptr).or_throw();
    frames(h, [&] { return topics.size() >= 200; });
    other.join();
    stop("messages come from two threads, and none is lost", last == 150 && topics.size() == 200 && sum == 100 * 2.5);
    stop("the script is called, and answers", h.call<std::int64_t>("total", 5) == 155);
    mw::values both;
    stop("with several values", h.call_into(both, "total", 0) && both.read().take<std::int64_t>() == 150);
    stop("one that would wait is refused, one that is not there too",
         h.call_into(both, "sleeper").code() == MW_EAGAIN && h.call_into(both, "nowhere").code() == MW_ENOENT);
}

// ---- The engine's descriptors, its signals, its limits --------------------------------------------------------------------------

static void descriptors() {
    int ends[2], signals = 0;
    std::string heard;
    mw::host h{mw::options()};

    if (pipe(ends) != 0) return stop("a pipe", false);
    h.watch(ends[0], MW_WATCH_READ, [&](int) {
        char some[16];
        ssize_t n = read(ends[0], some, sizeof some);
        if (n > 0) heard.append(some, static_cast<std::size_t>(n));
    }).or_throw();
    h.on_signal(SIGUSR2, [&](int) { signals++; }).or_throw();
    if (write(ends[1], "hello", 5) != 5) return stop("a write", false);
    raise(SIGUSR2);
    frames(h, [&] { return heard == "hello" && signals == 1; });
    stop("a descriptor of ours is watched beside the script's, and a signal", heard == "hello" && signals == 1);
    h.watch(ends[0], 0).or_throw();
    h.on_signal(SIGUSR2, nullptr).or_throw();
    close(ends[0]);
    close(ends[1]);
}

// Every byte of a host's Lua state through an allocator of the engine's.
static void *counted(void *ud, void *ptr, size_t osize, size_t nsize) {
    auto *held = static_cast<std::size_t *>(ud);
    if (nsize == 0) {
        *held -= ptr != nullptr ? osize : 0;
        std::free(ptr);
        return nullptr;
    }
    void *made = std::realloc(ptr, nsize);
    if (made != nullptr) *held += nsize - (ptr != nullptr ? osize : 0);
    return made;
}

static void limits() {
    std::size_t held = 0, most = 0;
    int errors = 0, code = 0;
    {
        mw::options o;
        mw::policy rights;
        rights.allow(MW_SYS, "hostname").or_throw();
        rights.deny(MW_READ, "/etc").or_throw();
        o.rights = &rights;
        o.raw.alloc = counted;
        o.raw.alloc_ud = &held;
        o.raw.memory_limit = 4u << 20;
        o.raw.limits.step_ns = 50000000;
        o.raw.preempt = MW_PREEMPT_COUNT;
        o.on_error = [&](const mw_err &err, const char *) { errors++, code = err.code; };
        mw::host h(std::move(o)), moved(std::move(h));
        stop("a host moves", !h && bool(moved));
        stop("what is no Lua is told when it is loaded", moved.load("x = = 1", "=bad").code() == MW_ELUA && !moved.check("for", "=bad"));
        moved.load("local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end", "=hog").or_throw();
        frames(moved, [&] { return errors == 1; });
        stop("a script that wants more memory than it may have gets an error", errors == 1);
        most = held;
        moved.load("assert(require('moonwire').sys.hostname()) done = true while true do end", "=loop").or_throw();
        frames(moved, [&] { return errors == 2; });
        stop("its host is of use afterwards; one that never waits ends by its limit, frame by frame", errors == 2 && code == MW_ELIMIT);
        moved.load("require('moonwire').fs.read('/etc/passwd')", "=nosy").or_throw();
        frames(moved, [&] { return errors == 3; });
        stop("and what is not allowed is denied", errors == 3 && code == MW_EDENIED);
    }
    stop("all its memory was ours, and has come back", most > 0 && held == 0);
}

static void many() {
    std::vector<mw::host> all(20);
    int printed = 0, alive = 0;
    for (auto &h : all) {
        mw::options o;
        o.on_print = [&](std::string_view) { printed++; };
        mw::host::open(h, std::move(o)).or_throw();
        h.load("for i = 1, 3 do print(i) require('moonwire').task.sleep(0.001) end require('moonwire').task.wait()", "=one").or_throw();
    }
    for (int frame = 0; frame < 5000 && printed < 60; frame++) {
        alive = 0;
        for (auto &h : all) {
            mw_step st{};
            h.step(200, st).or_throw();
            alive += st.alive;
        }
        usleep(200);
    }
    stop("twenty hosts take turns in one process", printed == 60 && alive == 20);
}

static void borrowed() {
#ifdef BORROWED
    uv_loop_t loop;
    bool gone = false;
    int printed = 0;
    mw::options o;
    mw::host h;
    o.on_print = [&](std::string_view) { printed++; };
    uv_loop_init(&loop);
    mw::host::open(h, std::move(o), &loop).or_throw();
    h.load("require('moonwire').task.sleep(0.001) print('on your loop') require('moonwire').task.wait()", "=guest").or_throw();
    while (printed == 0) uv_run(&loop, UV_RUN_ONCE);
    h.close([&] { gone = true; }).or_throw();
    uv_run(&loop, UV_RUN_DEFAULT);
    stop("a host lives on a loop of ours, and leaves it as it was", gone && uv_loop_close(&loop) == 0);
#endif
}

int main() {
    std::printf("# moonwire %s\n", mw_version());
    try {
        functions();
        messages();
        descriptors();
        limits();
        many();
        borrowed();
        mw::policy bad;
        bad.allow(MW_NET, "a:b:c:d").or_throw();
        stop("a rule that is none throws", false);
    } catch (const mw::error &e) {
        stop("a rule that is none throws", e.code() == MW_EINVAL);
        if (e.code() != MW_EINVAL) std::printf("# %s: %s\n", e.name(), e.what());
    }
    std::printf("tour: %s\n", wrong == 0 ? "all right" : "something is wrong");
    return wrong == 0 ? 0 : 1;
}
