-- The module for plain Lua as a rock, from a tree: luarocks make scripts/moonwire-0.1.0-1.rockspec
-- Knows: cmake. Never: the program, the library (cmake --install has them).
rockspec_format = "3.0"
package = "moonwire"
version = "0.1.0-1"
source = { url = "git+file://." }
description = {
  summary = "Processes, pipes, sockets, TLS and shared memory for scripts, with exactly the rights that they are given",
  detailed = 'local mw = require "moonwire"; mw.main(function() print(mw.process.run{ "echo", "hello" }.stdout) end)',
  license = "MIT",
  labels = { "ipc", "processes", "networking", "sandbox" },
}
supported_platforms = { "linux" }
dependencies = { "lua ~> 5.4" }
external_dependencies = {
  UV = { header = "uv.h" },
  OPENSSL = { header = "openssl/ssl.h" },
  ZSTD = { header = "zstd.h" },
  LZ4 = { header = "lz4.h" },
}
build = {
  type = "command",
  -- The parts lie beside the module, where it looks for them first.
  build_command = "cmake -S . -B build.luarocks -DCMAKE_BUILD_TYPE=Release -DMW_TESTS=OFF -DCMAKE_INSTALL_PREFIX=$(PREFIX)" ..
    " -DMW_MODULE_DIR=$(LIBDIR) -DMW_PARTS_DIR=$(LIBDIR) && cmake --build build.luarocks --parallel" ..
    " --target moonwire_module moonwire_tls moonwire_squeeze",
  install_command = "cmake --install build.luarocks --component module" ..
    " && cp build.luarocks/moonwire-tls.so build.luarocks/moonwire-squeeze.so $(LIBDIR)",
}
