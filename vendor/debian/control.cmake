# What can be said of the packages once everything is built: on which libraries they depend, which symbols the library has. Read by CPack.
# Knows: dpkg-shlibdeps, dpkg-gensymbols, package.cmake. Never: changes what was built.
set(here ${CPACK_MW_BUILT}/control)
file(REMOVE_RECURSE ${here})
file(MAKE_DIRECTORY ${here}/debian)
file(WRITE ${here}/debian/control "Source: moonwire\nPackage: libmoonwire${CPACK_MW_SONAME}\nArchitecture: any\n")

foreach(component IN LISTS CPACK_COMPONENTS_ALL)
  set(files)
  foreach(name IN LISTS CPACK_MW_${component})
    if(EXISTS ${CPACK_MW_BUILT}/${name})
      list(APPEND files ${CPACK_MW_BUILT}/${name})
    endif()
  endforeach()
  if(files)
    execute_process(COMMAND dpkg-shlibdeps -O ${files} WORKING_DIRECTORY ${here} COMMAND_ERROR_IS_FATAL ANY
                    OUTPUT_VARIABLE depends ERROR_VARIABLE said OUTPUT_STRIP_TRAILING_WHITESPACE)
    string(REGEX REPLACE ".*shlibs:Depends=" "" depends "${depends}")
    string(TOUPPER ${component} upper)
    if(CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS)
      string(PREPEND depends "${CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS}, ")
    endif()
    set(CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS "${depends}")
  endif()
endforeach()

set(library libmoonwire${CPACK_MW_SONAME})
list(GET CPACK_MW_library 0 file)
execute_process(COMMAND dpkg-gensymbols -p${library} -v${CPACK_PACKAGE_VERSION} -e${CPACK_MW_BUILT}/${file} -O${here}/symbols
                WORKING_DIRECTORY ${here} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
file(WRITE ${here}/shlibs "libmoonwire ${CPACK_MW_SONAME} ${library} (>= ${CPACK_PACKAGE_VERSION})\n")
file(WRITE ${here}/triggers "activate-noawait ldconfig\n")
file(CHMOD ${here}/symbols ${here}/shlibs ${here}/triggers PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${here}/symbols ${here}/shlibs ${here}/triggers)
