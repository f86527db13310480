/* What a child finds in its environment: ours as far as the rights let it through, and what the call adds.
 * Knows: io/process_parts.h, policy. Never: asks anybody (a query, not a permit): a child is no reason for a prompt. */
#include <stdlib.h>
#include <string.h>

#include "io/process_parts.h"

extern char **environ;

/* Variables whose value is code, a command that a program runs unasked, or a file, folder or list of options that can name either:
 * a script may not set them for a program that is not trusted. Names that end in * are prefixes.
 *
 * Not here, since a program looks there on request only, and its cage bounds what it finds: PATH, HOME and the XDG folders (where
 * configuration lies), SHELL, EDITOR, VISUAL, PAGER, BROWSER (helpers that a user picks; PAGER=cat is usual), CC and its like,
 * trust stores (SSL_CERT_FILE), locales and zones by name. What is inherited is the user's own choice: a script cannot change our
 * environment, so env rules alone decide about it. */
static const char *const startup[] = {
    /* the loader and the C library */
    "LD_*", "DYLD_*", "GCONV_PATH", "GETCONF_DIR", "GLIBC_TUNABLES", "LOCPATH", "NLSPATH", "HOSTALIASES", "LOCALDOMAIN", "NIS_PATH",
    "RES_OPTIONS", "RESOLV_*", "MALLOC_TRACE", "TZDIR", "TERMINFO", "TERMINFO_DIRS", "TERMCAP", "TERMPATH",
    /* shells */
    "BASH_ENV", "ENV", "SHELLOPTS", "BASHOPTS", "PS4", "PROMPT_COMMAND", "BASH_FUNC_*", "BASH_LOADABLES_PATH", "ZDOTDIR", "KSH_ENV",
    "FPATH", "IFS", "CDPATH",
    /* interpreters and virtual machines */
    "PYTHONSTARTUP", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONBREAKPOINT", "PYTHONWARNINGS", "PYTHONINSPECT",
    "PYTHONPLATLIBDIR", "PYTHONEXECUTABLE", "PYTHONCASEOK", "PYTHONPYCACHEPREFIX", "PYTHON_PRESITE", "PYTHONDUMPREFSFILE",
    "PERL5OPT", "PERL5LIB", "PERLLIB", "PERL5DB", "PERL5SHELL", "PERLDB_OPTS", "PERLIO_DEBUG",
    "RUBYOPT", "RUBYLIB", "RUBYLIB_PREFIX", "RUBYPATH", "RUBYSHELL", "RUBYGEMS_GEMDEPS", "GEM_HOME", "GEM_PATH", "BUNDLE_*",
    "NODE_OPTIONS", "NODE_PATH", "NODE_REPL_EXTERNAL_MODULE", "NODE_COMPILE_CACHE", "NODE_V8_COVERAGE", "ELECTRON_RUN_AS_NODE",
    "npm_config_*", "NPM_CONFIG_*", "BUN_OPTIONS", "DENO_DIR",
    "LUA_INIT", "LUA_INIT_*", "LUA_PATH", "LUA_PATH_*", "LUA_CPATH", "LUA_CPATH_*",
    "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "JAVA_OPTS", "JAVA_HOME", "CLASSPATH", "MAVEN_OPTS", "GRADLE_OPTS",
    "DOTNET_*", "CORECLR_*", "COR_*", "PHPRC", "PHP_INI_SCAN_DIR", "R_PROFILE", "R_PROFILE_USER", "R_ENVIRON", "R_ENVIRON_USER",
    "R_HOME", "R_LIBS*", "GUILE_LOAD_*", "TCLLIBPATH", "TCL_LIBRARY", "TK_LIBRARY", "ERL_*", "ELIXIR_ERL_OPTIONS", "JULIA_*",
    "OCAMLRUNPARAM", "CAML_LD_LIBRARY_PATH", "AWKPATH", "AWKLIBPATH",
    /* libraries with parts to load */
    "OPENSSL_*", "KRB5_CONFIG", "SASL_PATH", "SASL_CONF_PATH", "GTK_MODULES", "GTK_PATH", "GIO_MODULE_DIR", "GIO_EXTRA_MODULES",
    "GDK_PIXBUF_MODULE*", "QT_PLUGIN_PATH", "QML2_IMPORT_PATH", "GST_PLUGIN_*", "LIBGL_DRIVERS_PATH", "VK_*",
    /* tools that run a command, or read options that can name one */
    "GIT_SSH", "GIT_SSH_COMMAND", "GIT_PROXY_COMMAND", "GIT_EXTERNAL_DIFF", "GIT_EDITOR", "GIT_SEQUENCE_EDITOR", "GIT_PAGER",
    "GIT_ASKPASS", "GIT_EXEC_PATH", "GIT_TEMPLATE_DIR", "GIT_CONFIG", "GIT_CONFIG_*", "GIT_ALLOW_PROTOCOL", "GIT_TRACE*",
    "SSH_ASKPASS*", "SSH_SK_*", "SSH_PKCS11_HELPER", "RSYNC_RSH", "RSYNC_CONNECT_PROG", "RSYNC_SHELL", "CVS_RSH", "SVN_SSH",
    "TAR_OPTIONS", "TAPE", "RMT", "ZIPOPT", "LESS*", "MANOPT", "MANPAGER", "MANROFFOPT", "GROFF_*", "VIMINIT", "EXINIT", "VIM",
    "VIMRUNTIME", "EMACSLOADPATH", "MAKEFLAGS", "GNUMAKEFLAGS", "MFLAGS", "MAKEFILES", "GCC_EXEC_PREFIX", "COMPILER_PATH",
    "RUSTC*", "RUSTDOC", "CARGO_*", "GOFLAGS", "GOENV", "WGETRC", "SYSTEM_WGETRC", "PSQLRC",
};

/* No more than these, which take away: no file at all, or the word for not reading one. */
static int says_nothing(const char *name, const char *value) {
    return strcmp(value, "/dev/null") == 0 || strcmp(name, "GIT_CONFIG_NOSYSTEM") == 0;
}

static int is_startup(const char *name) {
    size_t i;

    for (i = 0; i < sizeof startup / sizeof *startup; i++) {
        size_t len = strlen(startup[i]);
        if (startup[i][len - 1] == '*' ? strncmp(name, startup[i], len - 1) == 0 : strcmp(name, startup[i]) == 0) return 1;
    }
    return 0;
}

/* The call's word about `name` (of len bytes), or NULL. The last one counts. */
static const struct mw_env *said(const struct mw_process_options *o, const char *name, size_t len) {
    size_t i;

    for (i = o->env_count; i > 0; i--) {
        const struct mw_env *e = &o->env[i - 1];
        if (strncmp(e->name, name, len) == 0 && e->name[len] == '\0') return e;
    }
    return NULL;
}

/* The two that a confined program finds its private directory by. */
static const char *const private_names[] = { "HOME", "TMPDIR" };
#define PRIVATE_NAMES (sizeof private_names / sizeof *private_names)

static int is_private(const struct launch *l, const char *name) {
    size_t i;

    for (i = 0; l->private_dir != NULL && !l->o->script && i < PRIVATE_NAMES; i++) {
        if (strcmp(private_names[i], name) == 0) return 1;
    }
    return 0;
}

/* Does sandbox.env let it through? */
static int in_sandbox(const struct mw_sandbox *s, const char *name) {
    size_t i;

    for (i = 0; s->env != NULL && i < s->env_count; i++) {
        size_t len = strlen(s->env[i]);
        if (s->env[i][len - 1] == '*' ? strncmp(name, s->env[i], len - 1) == 0 : strcmp(name, s->env[i]) == 0) return 1;
    }
    return s->env == NULL;
}

/* What we tell it in its own variables. */
static int is_extra(const struct launch *l, const char *name) {
    size_t i;

    for (i = 0; i < l->extra_count; i++) {
        if (strcmp(l->extra[i].name, name) == 0) return 1;
    }
    return 0;
}

/* Ours that a child may have: not spoken of by the call, and let through by the rights and the sandbox. */
static int inherited(struct launch *l, const char *entry) {
    const char *equals = strchr(entry, '=');
    char name[256];
    size_t len = equals == NULL ? 0 : (size_t)(equals - entry);

    if (len == 0 || len >= sizeof name || said(l->o, entry, len) != NULL) return 0;
    memcpy(name, entry, len);
    name[len] = '\0';
    if (is_extra(l, name)) return 0;
    if (is_private(l, name) || !in_sandbox(&l->o->sandbox, name)) return 0;
    return mw_policy_query(mw_host_policy(l->home->host), MW_ENV, name) == MW_GRANTED;
}

static int refuse_startup(struct launch *l) {
    const struct mw_process_options *o = l->o;
    size_t i;

    if (l->program.trusted) return 0;
    for (i = 0; i < o->env_count; i++) {
        if (o->env[i].value == NULL || !is_startup(o->env[i].name) || says_nothing(o->env[i].name, o->env[i].value)) continue;
        mw_policy_refuse(mw_host_policy(l->home->host), "trust", o->op, o->env[i].name, "denied: it decides what a program loads before it starts", l->err);
        return mw_policy_grant_hint(mw_host_policy(l->home->host), MW_TRUST, l->program.path, "", l->err), MW_EDENIED;
    }
    return 0;
}

/* Writes "NAME=VALUE"; returns where the next one goes. */
static char *write_entry(char *at, const char *name, const char *value) {
    at = stpcpy(at, name);
    *at++ = '=';
    return stpcpy(at, value) + 1;
}

int mw_launch_env(struct launch *l) {
    const struct mw_process_options *o = l->o;
    size_t bytes = 0, count = 0, i, ours = 0;
    char *at;
    int rc = refuse_startup(l);

    if (rc < 0) return rc;
    for (i = 0; i < PRIVATE_NAMES; i++) {
        if (is_private(l, private_names[i])) bytes += strlen(private_names[i]) + strlen(l->private_dir) + 2;
    }
    for (i = 0; i < l->extra_count; i++) bytes += strlen(l->extra[i].name) + strlen(l->extra[i].value) + 2;
    while (!o->clear_env && environ != NULL && environ[ours] != NULL) ours++;
    for (i = 0; i < o->env_count; i++) {
        if (o->env[i].value != NULL) bytes += strlen(o->env[i].name) + strlen(o->env[i].value) + 2;
    }
    if (bytes > MW_PROCESS_ENV_MAX) goto too_large;
    /* One block: the pointers, then what the call adds; ours are pointed at where they are. */
    l->envp = malloc((ours + o->env_count + PRIVATE_NAMES + l->extra_count + 1) * sizeof *l->envp + bytes);
    if (l->envp == NULL) return mw_err_set(l->err, MW_ENOMEM, o->op, o->argv[0], NULL);
    at = (char *)(l->envp + ours + o->env_count + PRIVATE_NAMES + l->extra_count + 1);
    for (i = 0; i < ours; i++) {
        if (!inherited(l, environ[i])) continue;
        bytes += strlen(environ[i]) + 1;
        l->envp[count++] = environ[i];
    }
    if (bytes > MW_PROCESS_ENV_MAX) goto too_large;
    for (i = 0; i < o->env_count; i++) {
        const struct mw_env *e = &o->env[i];
        if (e->value == NULL || said(o, e->name, strlen(e->name)) != e) continue;
        l->envp[count++] = at;
        at = write_entry(at, e->name, e->value);
    }
    for (i = 0; i < PRIVATE_NAMES; i++) {
        if (!is_private(l, private_names[i]) || said(o, private_names[i], strlen(private_names[i])) != NULL) continue;
        l->envp[count++] = at;
        at = write_entry(at, private_names[i], l->private_dir);
    }
    for (i = 0; i < l->extra_count; i++) {
        if (said(o, l->extra[i].name, strlen(l->extra[i].name)) != NULL) continue;
        l->envp[count++] = at;
        at = write_entry(at, l->extra[i].name, l->extra[i].value);
    }
    l->envp[count] = NULL;
    return 0;

too_large:
    mw_err_setf(l->err, MW_ELIMIT, o->op, o->argv[0], "its environment is %zu bytes long, at most %u are allowed", bytes, MW_PROCESS_ENV_MAX);
    return mw_err_hint(l->err, "clear_env = true gives it only what `env` names"), MW_ELIMIT;
}
