// moonwire for C++17: the same contract as moonwire.h, with owners that end what they own, and lambdas for hooks and functions.
// Knows: moonwire.h, the standard library. Never: needs exceptions: without them (-fno-exceptions) use the static functions `open`.
//
// A function that can fail returns a mw::status: true when it is fine, else with a code and a line to show; `.or_throw()` turns it into
// a mw::error. Constructors throw. A host is movable and has one owner; whatever a lambda throws becomes an error of the script's call,
// or ends the program in a hook, which has nobody to tell.
#ifndef MOONWIRE_HPP
#define MOONWIRE_HPP

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "moonwire.h"

#if defined(__cpp_exceptions)
#define MW_HPP_TRY try
#define MW_HPP_CATCH(body) catch (const std::exception &e) { const char *what = e.what(); body } catch (...) { const char *what = "exception"; body }
#else
#define MW_HPP_TRY
#define MW_HPP_CATCH(body)
#endif

namespace mw {

// ---- Outcomes --------------------------------------------------------------------------------------------------------------

class error : public std::runtime_error {
public:
    explicit error(const mw_err &e) : std::runtime_error(e.message), code_(e.code) {}
    int code() const noexcept { return code_; }
    const char *name() const noexcept { return mw_err_name(code_); } // "ECONNREFUSED"
private:
    int code_;
};

class [[nodiscard]] status {
public:
    status() noexcept { err.code = 0; err.message[0] = '\0'; }
    explicit operator bool() const noexcept { return err.code == 0; }
    int code() const noexcept { return err.code; }
    const char *what() const noexcept { return err.code == 0 ? "" : err.message; }
    const status &or_throw() const {
#if defined(__cpp_exceptions)
        if (err.code != 0) throw error(err);
#endif
        return *this;
    }
    mw_err err; // of use when it failed

    // What a function of moonwire.h returned, that was given &err.
    status &set(int rc) noexcept { err.code = rc < 0 ? rc : 0; return *this; }
};

// ---- Values ----------------------------------------------------------------------------------------------------------------

template <class T> struct is_map : std::false_type {};
template <class V, class... R> struct is_map<std::map<std::string, V, R...>> : std::true_type {};
template <class T> struct is_vector : std::false_type {};
template <class V, class A> struct is_vector<std::vector<V, A>> : std::true_type {};
template <class T> struct is_optional : std::false_type {};
template <class V> struct is_optional<std::optional<V>> : std::true_type {};

// A place in MessagePack that somebody else keeps. What does not fit is an empty optional.
class value {
public:
    value() noexcept : at_{nullptr, 0} {}
    explicit value(mw_view at) noexcept : at_(at) {}
    value(const void *bytes, std::size_t len) noexcept : at_{static_cast<const char *>(bytes), len} {}

    int type() const noexcept { return mw_view_type(&at_); } // enum mw_type, or a code
    bool empty() const noexcept { return at_.len == 0; }
    bool is_nil() const noexcept { return type() == MW_TYPE_NIL; }
    mw_view view() const noexcept { return at_; }

    // bool, integers, floats, std::string_view (lent), std::string, std::vector<T>, std::map<std::string, T>, std::optional<T> (nil or
    // absent), value
    template <class T> std::optional<T> as() const {
        value copy = *this;
        return copy.take<T>();
    }
    template <class T> T or_else(T fallback) const {
        auto got = as<T>();
        return got ? *std::move(got) : std::move(fallback);
    }
    // The value of a key; an empty one if there is none.
    value operator[](const char *key) const noexcept {
        mw_view found{nullptr, 0};
        return mw_view_find(&at_, key, &found) == 0 ? value(found) : value();
    }

    // Reads what is at the head, and steps over it: several values one after the other, as they come with messages.
    template <class T> std::optional<T> take() {
        if constexpr (std::is_same_v<T, bool>) {
            int out = 0;
            return mw_view_boolean(&at_, &out) == 0 ? std::optional<T>(out != 0) : std::nullopt;
        } else if constexpr (std::is_integral_v<T>) {
            mw_view was = at_;
            std::int64_t out = 0;
            if (mw_view_integer(&at_, &out) != 0) return std::nullopt;
            if (static_cast<std::int64_t>(static_cast<T>(out)) != out || (std::is_unsigned_v<T> && out < 0)) {
                at_ = was;
                return std::nullopt;
            }
            return static_cast<T>(out);
        } else if constexpr (std::is_floating_point_v<T>) {
            double out = 0;
            return mw_view_number(&at_, &out) == 0 ? std::optional<T>(static_cast<T>(out)) : std::nullopt;
        } else if constexpr (std::is_same_v<T, std::string_view> || std::is_same_v<T, std::string>) {
            const char *text = nullptr;
            std::size_t len = 0;
            return mw_view_string(&at_, &text, &len) == 0 ? std::optional<T>(T(text, len)) : std::nullopt;
        } else if constexpr (std::is_same_v<T, value>) {
            value whole(at_);
            if (mw_view_skip(&at_) != 0) return std::nullopt;
            whole.at_.len -= at_.len;
            return whole;
        } else if constexpr (is_optional<T>::value) {
            if (empty() || mw_view_nil(&at_) == 0) return T();
            auto got = take<typename T::value_type>();
            return got ? std::optional<T>(std::move(got)) : std::nullopt;
        } else if constexpr (is_vector<T>::value) {
            return many<T>(mw_view_array, [](value &from, T &to) {
                auto got = from.take<typename T::value_type>();
                if (got) to.push_back(*std::move(got));
                return got.has_value();
            });
        } else {
            static_assert(is_map<T>::value, "mw::value reads no such type");
            return many<T>(mw_view_map, [](value &from, T &to) {
                auto key = from.take<std::string>();
                auto got = key ? from.take<typename T::mapped_type>() : std::nullopt;
                if (got) to.insert_or_assign(*std::move(key), *std::move(got));
                return got.has_value();
            });
        }
    }

private:
    template <class T, class Open, class One> std::optional<T> many(Open open, One one) {
        mw_view was = at_;
        std::uint32_t count = 0;
        T out;
        if (open(&at_, &count) != 0) return std::nullopt;
        while (count-- > 0)
            if (!one(*this, out)) {
                at_ = was;
                return std::nullopt;
            }
        return out;
    }
    mw_view at_;
};

// Values that are written one after the other: arguments, results, a message.
class values {
public:
    values() noexcept : buf_{} {}
    template <class A, class... Rest, class = std::enable_if_t<!std::is_same_v<std::decay_t<A>, values>>>
    explicit values(const A &first, const Rest &...rest) : buf_{} { add(first), (add(rest), ...); }
    values(values &&other) noexcept : buf_(std::exchange(other.buf_, mw_buf{})) {}
    values &operator=(values &&other) noexcept { std::swap(buf_, other.buf_); return *this; }
    values(const values &) = delete;
    values &operator=(const values &) = delete;
    ~values() { mw_buf_free(&buf_); }

    template <class T> values &add(const T &v) {
        if constexpr (std::is_same_v<T, std::nullptr_t>) mw_buf_nil(&buf_);
        else if constexpr (std::is_same_v<T, bool>) mw_buf_boolean(&buf_, v);
        else if constexpr (std::is_integral_v<T>) mw_buf_integer(&buf_, static_cast<std::int64_t>(v));
        else if constexpr (std::is_floating_point_v<T>) mw_buf_number(&buf_, static_cast<double>(v));
        else if constexpr (std::is_same_v<T, value>) mw_buf_raw(&buf_, v.view().at, v.view().len);
        else if constexpr (std::is_same_v<T, values>) mw_buf_raw(&buf_, v.data(), v.size());
        else if constexpr (std::is_convertible_v<const T &, const char *>) mw_buf_text(&buf_, v);
        else if constexpr (std::is_convertible_v<const T &, std::string_view>) string(v);
        else if constexpr (is_optional<T>::value) v ? add(*v) : add(nullptr);
        else if constexpr (is_map<T>::value) {
            map(static_cast<std::uint32_t>(v.size()));
            for (const auto &[key, one] : v) string(key), add(one);
        } else {
            array(static_cast<std::uint32_t>(std::size(v)));
            for (const auto &one : v) add(one);
        }
        return *this;
    }
    values &array(std::uint32_t count) { mw_buf_array(&buf_, count); return *this; } // so many follow
    values &map(std::uint32_t pairs) { mw_buf_map(&buf_, pairs); return *this; }
    template <class T> values &field(const char *key, const T &v) { mw_buf_text(&buf_, key); return add(v); }
    void clear() noexcept { mw_buf_clear(&buf_); }
    const char *data() const noexcept { return buf_.at; }
    std::size_t size() const noexcept { return buf_.len; }
    int code() const noexcept { return buf_.code; } // of the first that failed
    mw_buf *native() noexcept { return &buf_; }
    value read() const noexcept { return value(buf_.at, buf_.len); } // from the first on; lent

private:
    void string(std::string_view text) { mw_buf_string(&buf_, text.data(), text.size()); }
    mw_buf buf_;
};

// ---- Rights ----------------------------------------------------------------------------------------------------------------

class policy {
public:
    policy() { open(*this).or_throw(); } // nothing is allowed
    explicit policy(std::nullptr_t) noexcept {}
    static status open(policy &out) { status s; mw_policy *p = nullptr; s.set(mw_policy_new(&p, &s.err)); out.own_.reset(p); return s; }
    status allow(mw_kind kind, const char *rules = nullptr) { return add(kind, MW_ALLOW, rules); } // nullptr: everything of the kind
    status deny(mw_kind kind, const char *rules = nullptr) { return add(kind, MW_DENY, rules); }
    status allow_all() { status s; return s.set(mw_policy_add_all(native(), &s.err)); }
    status add_file(const char *path) { status s; return s.set(mw_policy_add_file(native(), path, &s.err)); }
    mw_policy *native() const noexcept { return own_.get(); }

private:
    status add(mw_kind kind, mw_effect effect, const char *rules) { status s; return s.set(mw_policy_add(native(), kind, effect, rules, &s.err)); }
    struct end { void operator()(mw_policy *p) const noexcept { mw_policy_free(p); } };
    std::unique_ptr<mw_policy, end> own_;
};

// ---- Functions for scripts -------------------------------------------------------------------------------------------------

// A call that a script makes: first parameter of a function that wants to answer by hand, or to fail.
class call {
public:
    explicit call(mw_call *c) noexcept : c_(c) {}
    int count() const noexcept { return mw_arg_count(c_); }
    int type(int i) const noexcept { return mw_arg_type(c_, i); }
    int fail(int code, const char *message) { return failed_ = mw_call_fail(c_, code, message); }
    template <class T> int get(int i, T &out) {
        int rc;
        if constexpr (is_optional<T>::value) {
            if (type(i) == MW_TYPE_NIL) return out.reset(), 0;
            typename T::value_type one{};
            if ((rc = get(i, one)) == 0) out = std::move(one);
        } else if constexpr (std::is_same_v<T, bool>) {
            int b = 0;
            rc = mw_arg_boolean(c_, i, &b), out = b != 0;
        } else if constexpr (std::is_integral_v<T>) {
            std::int64_t n = 0;
            rc = mw_arg_integer(c_, i, &n), out = static_cast<T>(n);
            if (rc == 0 && (static_cast<std::int64_t>(out) != n || (std::is_unsigned_v<T> && n < 0))) rc = fail(MW_EINVAL, "an integer is out of range");
        } else if constexpr (std::is_floating_point_v<T>) {
            double n = 0;
            rc = mw_arg_number(c_, i, &n), out = static_cast<T>(n);
        } else if constexpr (std::is_same_v<T, std::string_view> || std::is_same_v<T, std::string>) {
            const char *text = "";
            std::size_t len = 0;
            if ((rc = mw_arg_string(c_, i, &text, &len)) == 0) out = T(text, len);
        } else {
            mw_view v{nullptr, 0};
            if ((rc = mw_arg_value(c_, i, &v)) != 0) return rc;
            if constexpr (std::is_same_v<T, value>) {
                out = value(v);
            } else {
                auto got = value(v).as<T>();
                if (!got) return fail(MW_EINVAL, "an argument is of another type than expected");
                out = *std::move(got);
            }
        }
        return rc;
    }
    template <class T> int give(const T &v) {
        if constexpr (std::is_same_v<T, std::nullptr_t>) return mw_return_nil(c_);
        else if constexpr (std::is_same_v<T, bool>) return mw_return_boolean(c_, v);
        else if constexpr (std::is_integral_v<T>) return mw_return_integer(c_, static_cast<std::int64_t>(v));
        else if constexpr (std::is_floating_point_v<T>) return mw_return_number(c_, static_cast<double>(v));
        else if constexpr (is_optional<T>::value) return v ? give(*v) : mw_return_nil(c_);
        else if constexpr (std::is_convertible_v<const T &, std::string_view>) {
            std::string_view text = v;
            return mw_return_string(c_, text.data(), text.size());
        } else if constexpr (std::is_same_v<T, values>) {
            return mw_return_value(c_, v.data(), v.size());
        } else {
            values all(v);
            return all.code() != 0 ? all.code() : mw_return_value(c_, all.data(), all.size());
        }
    }
    template <class... T> int give(const std::tuple<T...> &v) { // several results
        return std::apply([this](const T &...one) { int rc = 0; ((rc = rc != 0 ? rc : give(one)), ...); return rc; }, v);
    }
    int failed() const noexcept { return failed_; }

private:
    mw_call *c_;
    int failed_ = 0;
};

namespace detail {
template <class F> struct shape : shape<decltype(&F::operator())> {};
template <class R, class... A> struct shape<R (*)(A...)> { using result = R; using args = std::tuple<A...>; };
template <class C, class R, class... A> struct shape<R (C::*)(A...)> : shape<R (*)(A...)> {};
template <class C, class R, class... A> struct shape<R (C::*)(A...) const> : shape<R (*)(A...)> {};
template <class C, class R, class... A> struct shape<R (C::*)(A...) noexcept> : shape<R (*)(A...)> {};
template <class C, class R, class... A> struct shape<R (C::*)(A...) const noexcept> : shape<R (*)(A...)> {};
template <class T> struct takes_call : std::false_type {};
template <class... A> struct takes_call<std::tuple<call &, A...>> : std::true_type {};

// Arguments in, the function, results out.
template <class S, std::size_t First, class F, std::size_t... I> int invoke_with(F &fn, call &c, std::index_sequence<I...>) {
    std::tuple<std::decay_t<std::tuple_element_t<I + First, typename S::args>>...> in{};
    int rc = 0;
    ((rc = rc != 0 ? rc : c.get(static_cast<int>(I) + 1, std::get<I>(in))), ...);
    if (rc != 0) return rc;
    auto go = [&]() -> decltype(auto) {
        if constexpr (First == 1) return fn(c, std::get<I>(in)...);
        else return fn(std::get<I>(in)...);
    };
    if constexpr (std::is_void_v<typename S::result>) {
        go();
        return c.failed();
    } else {
        const auto &out = go();
        return c.failed() != 0 ? c.failed() : c.give(out);
    }
}
template <class F> int invoke(F &fn, call &c) {
    using S = shape<std::decay_t<F>>;
    constexpr std::size_t first = takes_call<typename S::args>::value ? 1 : 0;
    return invoke_with<S, first>(fn, c, std::make_index_sequence<std::tuple_size_v<typename S::args> - first>());
}
} // namespace detail

// ---- Hosts -----------------------------------------------------------------------------------------------------------------

struct options {
    options() { mw_config_init(&raw); }
    mw_config raw;                  // everything else that moonwire.h offers; its hooks and `ud` are ours
    const policy *rights = nullptr; // copied; nullptr: nothing is allowed
    std::function<void(std::string_view)> on_print;
    std::function<void(mw_level, std::string_view)> on_log;
    std::function<void(const mw_err &, const char *traceback)> on_error;
    std::function<void(std::string_view topic, value args)> on_message;
};

class host {
public:
    host() noexcept = default; // none
    explicit host(options o) { open(*this, std::move(o)).or_throw(); }
    host(host &&other) noexcept : h_(std::exchange(other.h_, nullptr)), state_(std::move(other.state_)) {}
    host &operator=(host &&other) noexcept {
        end();
        h_ = std::exchange(other.h_, nullptr);
        state_ = std::move(other.state_);
        return *this;
    }
    ~host() { end(); } // ends it: not from one of its own hooks

    // On `loop` (a uv_loop_t that is yours), or on a loop of its own.
    static status open(host &out, options o, uv_loop_s *loop = nullptr) {
        status s;
        host made;
        made.state_ = std::make_unique<state>();
        made.state_->hooks = std::move(o);
        mw_config &cfg = made.state_->hooks.raw;
        cfg.ud = made.state_.get();
        if (made.state_->hooks.rights != nullptr) cfg.policy = made.state_->hooks.rights->native();
        if (made.state_->hooks.on_print) cfg.on_print = [](mw_host *, const char *text, size_t len, void *ud) { of(ud)->hooks.on_print({text, len}); };
        if (made.state_->hooks.on_log)
            cfg.on_log = [](mw_host *, mw_level level, const char *line, size_t len, void *ud) { of(ud)->hooks.on_log(level, {line, len}); };
        if (made.state_->hooks.on_error)
            cfg.on_error = [](mw_host *, const mw_err *err, const char *traceback, void *ud) { of(ud)->hooks.on_error(*err, traceback); };
        if (made.state_->hooks.on_message)
            cfg.on_message = [](mw_host *, const char *topic, const void *bytes, size_t len, void *ud) { of(ud)->hooks.on_message(topic, {bytes, len}); };
        s.set(loop == nullptr ? mw_host_new(&cfg, &made.h_, &s.err) : mw_host_new_on(loop, &cfg, &made.h_, &s.err));
        if (s) out = std::move(made);
        return s;
    }
    explicit operator bool() const noexcept { return h_ != nullptr; }
    mw_host *native() const noexcept { return h_; }

    status load(std::string_view text, const char *name) { status s; return s.set(mw_host_load_string(h_, text.data(), text.size(), name, &s.err)); }
    status load_file(const char *path) { status s; return s.set(mw_host_load_file(h_, path, &s.err)); }
    status check(std::string_view text, const char *name) { status s; return s.set(mw_host_check(h_, text.data(), text.size(), name, &s.err)); }

    // One frame's work of at most `budget_us` (0: no bound); st.alive, st.ready ...
    status step(unsigned budget_us, mw_step &st) { status s; forget(); return s.set(mw_host_step(h_, budget_us, &st, &s.err)); }
    status run_once(int timeout_ms, mw_step &st) { status s; forget(); return s.set(mw_host_run_once(h_, timeout_ms, &st, &s.err)); }
    status run(int &exit_status) { status s; return s.set(mw_host_run(h_, &exit_status, &s.err)); }
    int backend_fd() const noexcept { return mw_host_backend_fd(h_); }
    int timeout_ms() const noexcept { return mw_host_timeout_ms(h_); }

    // Any thread, as long as the host is there.
    template <class... A> status post(const char *topic, const A &...args) {
        status s;
        values all;
        (all.add(args), ...);
        if (all.code() != 0) return s.set(mw_err_set(&s.err, all.code(), "host post", topic, nullptr));
        return s.set(mw_host_post(h_, topic, all.data(), all.size(), &s.err));
    }
    void interrupt(int exit_status, const char *why) noexcept { mw_host_interrupt(h_, exit_status, why); } // why: static text
    bool stop_task() noexcept { return mw_host_break(h_) != 0; }

    // Calls a function of the script's; its results are appended to `out`.
    template <class... A> status call_into(values &out, const char *name, const A &...args) {
        status s;
        values all;
        (all.add(args), ...);
        if (all.code() != 0) return s.set(mw_err_set(&s.err, all.code(), "host call", name, nullptr));
        return s.set(mw_host_call(h_, name, all.data(), all.size(), out.native(), &s.err));
    }
    // The same for one result: empty when it failed, or gave something else.
    template <class R, class... A> std::optional<R> call(const char *name, const A &...args) {
        static_assert(!std::is_same_v<R, std::string_view> && !std::is_same_v<R, value>, "the result's bytes are gone: call_into");
        values out;
        if (!call_into(out, name, args...)) return std::nullopt;
        return out.read().template take<R>();
    }

    // mw.host.NAME(...) in Lua. Parameters and result as mw::value reads and mw::values writes them, std::optional for those that may be
    // absent, std::tuple for several results; a first parameter `mw::call &` to look at the arguments or to fail.
    template <class F> status define(const char *name, F fn) {
        status s;
        auto made = std::make_shared<function>([fn = std::move(fn)](mw::call &c) mutable { return detail::invoke(fn, c); });
        s.set(mw_host_register(h_, name, called, made.get(), &s.err));
        if (s) keep(state_->functions[name], std::move(made));
        return s;
    }
    status undefine(const char *name) { status s; return s.set(mw_host_register(h_, name, nullptr, nullptr, &s.err)); }

    // fn(events) whenever fd is ready, inside a step; events 0: no more.
    status watch(int fd, int events, std::function<void(int events)> fn = {}) {
        status s;
        auto made = std::make_shared<std::function<void(int)>>(std::move(fn));
        s.set(mw_host_watch_fd(h_, fd, events, events == 0 ? nullptr : ready, made.get(), &s.err));
        if (s) keep(state_->watchers[fd], std::move(made));
        return s;
    }
    status on_signal(int signum, std::function<void(int)> fn) {
        status s;
        auto made = std::make_shared<std::function<void(int)>>(std::move(fn));
        s.set(mw_host_on_signal(h_, signum, *made ? signalled : nullptr, made.get(), &s.err));
        if (s) keep(state_->signals[signum], std::move(made));
        return s;
    }
    // 0 no, 1 once, 2 always, as mw_host_on_ask has it.
    void on_ask(std::function<int(mw_kind, const char *subject, const char *where, const char *flag)> fn) {
        state_->ask = std::move(fn);
        mw_host_on_ask(h_, state_->ask ? asked : nullptr, state_.get());
    }
    status deadline(std::uint64_t ns, int exit_status, const char *why) { status s; return s.set(mw_host_deadline(h_, ns, exit_status, why, &s.err)); }

    // For a host on a borrowed loop: it is no longer ours, and `done` is called when it has gone.
    status close(std::function<void()> done = {}) {
        status s;
        auto *last = new leaving{std::move(state_), std::move(done)};
        s.set(mw_host_close(h_, left, last, &s.err));
        if (s) h_ = nullptr;
        else state_ = std::move(last->rest), delete last;
        return s;
    }

private:
    using function = std::function<int(mw::call &)>;
    struct state {
        options hooks;
        std::map<std::string, std::shared_ptr<void>> functions;
        std::map<int, std::shared_ptr<void>> watchers, signals;
        std::vector<std::shared_ptr<void>> replaced; // until the next step: one of them may be running
        std::function<int(mw_kind, const char *, const char *, const char *)> ask;
    };
    struct leaving {
        std::unique_ptr<state> rest;
        std::function<void()> done;
    };
    static state *of(void *ud) noexcept { return static_cast<state *>(ud); }
    void keep(std::shared_ptr<void> &at, std::shared_ptr<void> made) {
        if (at) state_->replaced.push_back(std::move(at));
        at = std::move(made);
    }
    void forget() noexcept { state_->replaced.clear(); }
    void end() noexcept {
        mw_host_free(std::exchange(h_, nullptr));
        state_.reset();
    }
    static int called(mw_host *, mw_call *raw, void *ud) {
        mw::call c(raw);
        MW_HPP_TRY { return (*static_cast<function *>(ud))(c); }
        MW_HPP_CATCH(return c.fail(MW_ETASK, what);)
    }
    static void ready(mw_host *, int, int events, void *ud) { (*static_cast<std::function<void(int)> *>(ud))(events); }
    static void signalled(mw_host *, int signum, void *ud) { (*static_cast<std::function<void(int)> *>(ud))(signum); }
    static int asked(mw_host *, mw_kind kind, const char *subject, const char *where, const char *flag, void *ud) {
        return of(ud)->ask(kind, subject, where, flag);
    }
    static void left(void *ud) {
        std::unique_ptr<leaving> last(static_cast<leaving *>(ud));
        if (last->done) last->done();
    }

    mw_host *h_ = nullptr;
    std::unique_ptr<state> state_;
};

} // namespace mw

#undef MW_HPP_TRY
#undef MW_HPP_CATCH
#endif
