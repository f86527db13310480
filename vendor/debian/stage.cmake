# Makes Debian's of what was installed for the packages: stripped, compressed, with copyright and changelog. Run by CPack.
# Knows: CPACK_TEMPORARY_INSTALL_DIRECTORY, a folder for each component. Never: touches what was built.
cmake_policy(VERSION 3.25)
foreach(component IN LISTS CPACK_COMPONENTS_ALL)
  string(TOUPPER ${component} upper)
  set(root ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${component})
  set(name ${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
  set(doc ${root}/usr/share/doc/${name})
  file(REMOVE ${doc}/LICENSE) # it is in the copyright
  file(MAKE_DIRECTORY ${doc})
  file(COPY_FILE ${CPACK_MW_FOLDER}/copyright ${doc}/copyright)
  file(COPY_FILE ${CPACK_MW_FOLDER}/changelog ${doc}/changelog.Debian)
  file(MAKE_DIRECTORY ${root}/usr/share/lintian/overrides)
  file(WRITE ${root}/usr/share/lintian/overrides/${name}
    "# Built by its own developers, not uploaded to Debian: there is no bug to close.\n${name}: initial-upload-closes-no-bugs *\n")

  file(GLOB compressed ${doc}/changelog.Debian ${root}/usr/share/man/man?/*)
  execute_process(COMMAND gzip -9n ${compressed} COMMAND_ERROR_IS_FATAL ANY)

  file(GLOB_RECURSE files LIST_DIRECTORIES false ${root}/*)
  foreach(file IN LISTS files)
    if(IS_SYMLINK "${file}")
      continue()
    elseif(file MATCHES "\\.a$")
      execute_process(COMMAND strip --strip-debug --enable-deterministic-archives -R .comment -R .note "${file}" COMMAND_ERROR_IS_FATAL ANY)
    elseif(file MATCHES "/bin/[^/]+$|\\.so(\\.[0-9.]+)?$")
      execute_process(COMMAND strip --strip-unneeded -R .comment -R .note "${file}" COMMAND_ERROR_IS_FATAL ANY)
    endif()
  endforeach()
  execute_process(COMMAND chmod -R u+rwX,go+rX,go-w ${root} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
