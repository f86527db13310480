# What `cmake --install` puts where: every rule of installation. Included by host/CMakeLists.txt.
# Knows: the targets of host/, the folders of GNUInstallDirs. Never: a path outside of the prefix; what a distribution calls its packages.
#
# Nothing that is installed holds the prefix, save the one place where parts are looked for last: `cmake --install BUILD --prefix P` and a
# tree that is moved work as it is.

include(CMakePackageConfigHelpers)

set(MW_PARTS_DIR ${CMAKE_INSTALL_LIBDIR}/moonwire-${PROJECT_VERSION_MAJOR} CACHE STRING
  "Where the parts (moonwire-NAME.so) go: below the prefix, or absolute")
set(MW_MODULE_DIR ${CMAKE_INSTALL_LIBDIR}/lua/5.4 CACHE STRING "Where the module for plain Lua goes")
set(MW_BASH_DIR ${CMAKE_INSTALL_DATADIR}/bash-completion/completions CACHE STRING "Where bash's completions go")
set(MW_ZSH_DIR ${CMAKE_INSTALL_DATADIR}/zsh/site-functions CACHE STRING "Where zsh's completions go")
set(MW_FISH_DIR ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d CACHE STRING "Where fish's completions go")
mark_as_advanced(MW_PARTS_DIR MW_MODULE_DIR MW_BASH_DIR MW_ZSH_DIR MW_FISH_DIR)

# Folders of a component, made before anything is put there.
function(mw_folders component)
  install(CODE "set(folders \"${ARGN}\")" COMPONENT ${component})
  install(SCRIPT install/folders.cmake COMPONENT ${component})
endfunction()

# ---- Where core/part and front/repl_part look ----------------------------------------------------------------------------------
function(mw_full out dir)
  cmake_path(ABSOLUTE_PATH dir BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX} NORMALIZE OUTPUT_VARIABLE full)
  set(${out} ${full} PARENT_SCOPE)
endfunction()
function(mw_parts_from out dir)
  mw_full(dir ${dir})
  mw_full(parts ${MW_PARTS_DIR})
  file(RELATIVE_PATH from ${dir} ${parts})
  set(${out} ${from} PARENT_SCOPE)
endfunction()
mw_full(mw_parts ${MW_PARTS_DIR})
mw_parts_from(mw_from_program ${CMAKE_INSTALL_BINDIR})
mw_parts_from(mw_from_library ${CMAKE_INSTALL_LIBDIR})
mw_parts_from(mw_from_module ${MW_MODULE_DIR})
set_source_files_properties(core/part.c front/repl_part.c PROPERTIES COMPILE_DEFINITIONS
  "MW_PARTS_DIR=\"${mw_parts}\";MW_PARTS_NEAR=\"${mw_from_program}\",\"${mw_from_library}\",\"${mw_from_module}\";MW_PART_VERSION=\"${PROJECT_VERSION}\"")

# ---- The program: itself, its manual, completions, what editors and people read -------------------------------------------------
mw_folders(program ${CMAKE_INSTALL_BINDIR} ${CMAKE_INSTALL_DOCDIR} ${CMAKE_INSTALL_DATADIR}/moonwire
  ${MW_BASH_DIR} ${MW_ZSH_DIR} ${MW_FISH_DIR})
if(TARGET moonwire)
  install(TARGETS moonwire COMPONENT program)
  if(CMAKE_CROSSCOMPILING)
    message(STATUS "No completions are installed: the program is built for another machine")
  else()
    set(mw_completions ${PROJECT_BINARY_DIR}/install/completions)
    install(CODE "
      file(MAKE_DIRECTORY \"${mw_completions}\")
      foreach(shell bash zsh fish)
        execute_process(COMMAND \"$<TARGET_FILE:moonwire>\" completions \${shell} OUTPUT_FILE \"${mw_completions}/\${shell}\"
                        COMMAND_ERROR_IS_FATAL ANY)
      endforeach()" COMPONENT program)
    install(FILES ${mw_completions}/bash DESTINATION ${MW_BASH_DIR} RENAME moonwire COMPONENT program)
    install(FILES ${mw_completions}/zsh DESTINATION ${MW_ZSH_DIR} RENAME _moonwire COMPONENT program)
    install(FILES ${mw_completions}/fish DESTINATION ${MW_FISH_DIR} RENAME moonwire.fish COMPONENT program)
  endif()
endif()
file(GLOB mw_manual CONFIGURE_DEPENDS man/*.[1-9])
foreach(page IN LISTS mw_manual)
  string(REGEX REPLACE ".*\\." "" section ${page})
  mw_folders(program ${CMAKE_INSTALL_MANDIR}/man${section})
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT program)
endforeach()

# moonwire-lua.3 is written from the annotations, by any Lua.
set(mw_generated ${PROJECT_BINARY_DIR}/install/man/moonwire-lua.3)
set(mw_lua)
if(TARGET moonwire AND NOT CMAKE_CROSSCOMPILING)
  set(mw_lua \"$<TARGET_FILE:moonwire>\" run --confine=off --limit=step=off --allow-read=. --allow-env=SOURCE_DATE_EPOCH)
else()
  find_program(MW_LUA NAMES lua5.4 lua54 lua)
  mark_as_advanced(MW_LUA)
  if(MW_LUA)
    set(mw_lua ${MW_LUA})
  else()
    message(STATUS "No moonwire-lua.3 is installed: there is no Lua to write it with")
  endif()
endif()
if(mw_lua)
  mw_folders(program ${CMAKE_INSTALL_MANDIR}/man3)
  string(REPLACE ";" " " mw_lua "${mw_lua}")
  install(CODE "
    file(MAKE_DIRECTORY \"${PROJECT_BINARY_DIR}/install/man\")
    execute_process(COMMAND ${mw_lua} scripts/docs/man.lua WORKING_DIRECTORY \"${PROJECT_SOURCE_DIR}\"
                    OUTPUT_FILE \"${mw_generated}\" COMMAND_ERROR_IS_FATAL ANY)" COMPONENT program)
  install(FILES ${mw_generated} DESTINATION ${CMAKE_INSTALL_MANDIR}/man3 COMPONENT program)
endif()

install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT program)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/lua DESTINATION ${CMAKE_INSTALL_DATADIR}/moonwire COMPONENT program FILES_MATCHING PATTERN *.lua)

# ---- The library and its parts ------------------------------------------------------------------------------------------------
mw_folders(library ${CMAKE_INSTALL_LIBDIR})
get_property(mw_part_targets DIRECTORY PROPERTY mw_part_targets)
foreach(part IN LISTS mw_part_targets)
  set(component library)
  if(part MATCHES "_repl$")             # the prompt is the program's alone
    set(component program)
  endif()
  mw_folders(${component} ${MW_PARTS_DIR})
  install(TARGETS ${part} LIBRARY DESTINATION ${MW_PARTS_DIR} COMPONENT ${component})
endforeach()
install(TARGETS moonwire_shared EXPORT moonwire_shared COMPONENT library
  LIBRARY NAMELINK_COMPONENT development INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

# ---- The module for plain Lua ---------------------------------------------------------------------------------------------------
if(TARGET moonwire_module)
  mw_folders(module ${MW_MODULE_DIR})
  install(TARGETS moonwire_module LIBRARY DESTINATION ${MW_MODULE_DIR} COMPONENT module)
endif()

# ---- For those who build with it --------------------------------------------------------------------------------------------------
set(mw_package ${CMAKE_INSTALL_LIBDIR}/cmake/moonwire)
mw_folders(development ${CMAKE_INSTALL_INCLUDEDIR} ${CMAKE_INSTALL_LIBDIR}/pkgconfig ${mw_package})
install(TARGETS moonwire_static EXPORT moonwire_static ARCHIVE COMPONENT development INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

# moonwire.h and all that it includes; what is not itself lies below include/moonwire/ and names one another by relative paths, so that no
# `base/err.h` of ours is found in the place of another's.
set(mw_headers ${PROJECT_BINARY_DIR}/install/include)
install(CODE "
  set(from \"${CMAKE_CURRENT_SOURCE_DIR}\")
  set(into \"${mw_headers}\")" COMPONENT development)
install(SCRIPT install/headers.cmake COMPONENT development)
install(DIRECTORY ${mw_headers}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)

# Archives by name, since they do not always have the shared library's: what is linked with libmoonwire.a.
set(mw_private)
foreach(name luv lua uv)
  cmake_path(GET MW_ARCHIVE_${name} PARENT_PATH dir)
  cmake_path(GET MW_ARCHIVE_${name} FILENAME mw_archive_${name})
  if(NOT dir IN_LIST CMAKE_C_IMPLICIT_LINK_DIRECTORIES)
    string(APPEND mw_private "-L${dir} ")
  endif()
  string(APPEND mw_private "-l:${mw_archive_${name}} ")
endforeach()
string(APPEND mw_private "-lm -ldl -lpthread")

mw_full(mw_pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH mw_up ${mw_pc_dir} ${CMAKE_INSTALL_PREFIX})
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_LIBDIR BASE_DIRECTORY "\${prefix}" OUTPUT_VARIABLE mw_pc_libdir)
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_INCLUDEDIR BASE_DIRECTORY "\${prefix}" OUTPUT_VARIABLE mw_pc_includedir)
foreach(name moonwire moonwire-static)
  configure_file(install/${name}.pc.in ${PROJECT_BINARY_DIR}/install/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/install/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
endforeach()

configure_package_config_file(install/moonwireConfig.cmake.in ${PROJECT_BINARY_DIR}/install/moonwireConfig.cmake
  INSTALL_DESTINATION ${mw_package} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/install/moonwireConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/install/moonwireConfig.cmake ${PROJECT_BINARY_DIR}/install/moonwireConfigVersion.cmake
  DESTINATION ${mw_package} COMPONENT development)
foreach(kind shared static)
  install(EXPORT moonwire_${kind} NAMESPACE moonwire:: FILE moonwire-${kind}.cmake DESTINATION ${mw_package} COMPONENT development)
endforeach()
