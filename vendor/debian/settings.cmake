# How Debian builds: cmake -C vendor/debian/settings.cmake, for scripts/dev package.
# Knows: dpkg-buildflags, Debian's folders. Never: what is in a package (package.cmake).
execute_process(COMMAND dpkg-buildflags --get CPPFLAGS OUTPUT_VARIABLE cppflags OUTPUT_STRIP_TRAILING_WHITESPACE)
execute_process(COMMAND dpkg-buildflags --get CFLAGS OUTPUT_VARIABLE cflags OUTPUT_STRIP_TRAILING_WHITESPACE)
execute_process(COMMAND dpkg-buildflags --get LDFLAGS OUTPUT_VARIABLE ldflags OUTPUT_STRIP_TRAILING_WHITESPACE)

set(CMAKE_BUILD_TYPE None CACHE STRING "")
set(CMAKE_C_FLAGS "${cflags} ${cppflags} -DNDEBUG -g0" CACHE STRING "")
foreach(kind EXE SHARED MODULE)
  set(CMAKE_${kind}_LINKER_FLAGS "${ldflags}" CACHE STRING "")
endforeach()
set(CMAKE_INSTALL_PREFIX /usr CACHE PATH "")
set(MW_ZSH_DIR share/zsh/vendor-completions CACHE STRING "")
set(MW_TESTS OFF CACHE BOOL "")
