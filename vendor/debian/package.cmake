# The Debian packages: which component goes into which, and what each says of itself. Included by the top CMakeLists.txt, last.
# Knows: Debian's names, the components of host/install/rules.cmake. Never: builds or installs anything (CPack does, control.cmake and
# stage.cmake help it).
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME moonwire)
set(CPACK_PACKAGE_VENDOR moonwire)
set(CPACK_PACKAGE_CONTACT "moonwire maintainers <moonwire@example.org>")
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR})
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_CURRENT_LIST_DIR}/control.cmake)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/stage.cmake)

# For control.cmake and stage.cmake.
set(CPACK_MW_FOLDER ${CMAKE_CURRENT_LIST_DIR})
set(CPACK_MW_BUILT ${PROJECT_BINARY_DIR})
set(CPACK_MW_VERSION ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})
set(CPACK_MW_SONAME ${PROJECT_VERSION_MAJOR})

# mw_package(COMPONENT NAME SECTION "one line" "more, a paragraph" FILE-OF-THE-BUILD...): what it depends on is found in those files.
set(CPACK_COMPONENTS_ALL)
macro(mw_package component name section line text)
  list(APPEND CPACK_COMPONENTS_ALL ${component})
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section})
  set(CPACK_DEBIAN_${upper}_DESCRIPTION "${line}\n${text}")
  set(CPACK_DEBIAN_${upper}_PACKAGE_MULTIARCH same)
  set(CPACK_MW_${component} ${ARGN})
endmacro()

set(about "moonwire runs Lua scripts that start processes and talk over pipes,
sockets, TLS and shared memory; each script has exactly the rights that it
was given, and so have its children, which the kernel holds to them.")

mw_package(program moonwire interpreters "Lua scripts that talk to processes and sockets, with given rights"
  "${about}\n.\nThis package has the program, its manual and the description of its
modules for editors that know LuaCATS."
  moonwire moonwire-repl.so)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_DEPENDS "libmoonwire${CPACK_MW_SONAME} (= ${CPACK_MW_VERSION})")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_MULTIARCH foreign)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SUGGESTS lua-busted)

mw_package(library libmoonwire${CPACK_MW_SONAME} libs "Lua-scriptable IPC host - shared library"
  "${about}\n.\nThis package has the library for programs that embed it, and the parts
that it opens at first use: TLS and compression."
  libmoonwire.so.${PROJECT_VERSION} moonwire-tls.so moonwire-squeeze.so)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_RECOMMENDS ca-certificates)

mw_package(development libmoonwire-dev libdevel "Lua-scriptable IPC host - development files"
  "${about}\n.\nThis package has the headers and the static library, and what pkg-config
and CMake need to find them.")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  "libmoonwire${CPACK_MW_SONAME} (= ${CPACK_MW_VERSION}), liblua5.4-dev, libuv1-dev, lua-luv-dev")

if(TARGET moonwire_module)
  mw_package(module lua-moonwire interpreters "Lua-scriptable IPC host - module for Lua"
    "${about}\n.\nThis package has the same as a module for the ordinary Lua interpreter."
    lua/moonwire.so)
  set(CPACK_DEBIAN_MODULE_PACKAGE_DEPENDS "libmoonwire${CPACK_MW_SONAME} (= ${CPACK_MW_VERSION})")
  set(CPACK_DEBIAN_MODULE_PACKAGE_ENHANCES lua5.4)
  set(CPACK_DEBIAN_MODULE_PACKAGE_PROVIDES lua5.4-moonwire)
endif()

include(CPack)
