# What `cmake --install` puts where. The compiler finds the rest from its own
# place, so the folder may be moved.
#
#   bin/                the compiler, the pass driver
#   lib/sinter/         runtime and trainer, for this machine
#   share/sinter/       the runtime's sources, for others (codegen/Link.cpp)
#   include/sinter/     the runtime's header, for users of --emit obj
#   lib/cmake/Sinter/   find_package(Sinter)
#   lib/pkgconfig/      sinter.pc
include(CMakePackageConfigHelpers)

# LLVM's libraries are not on the loader's path.
set_target_properties(sinter sinter-opt PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS sinter sinter-opt RUNTIME DESTINATION bin)
install(TARGETS sinter_runtime sinter_trainer ARCHIVE DESTINATION lib/sinter)
install(FILES runtime/sinter_runtime.h DESTINATION include/sinter)
install(DIRECTORY runtime/ DESTINATION share/sinter/runtime
  FILES_MATCHING PATTERN "*.c" PATTERN "*.h" PATTERN "trainer" EXCLUDE)

configure_package_config_file(cmake/SinterConfig.cmake.in ${PROJECT_BINARY_DIR}/SinterConfig.cmake
  INSTALL_DESTINATION lib/cmake/Sinter)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/SinterConfigVersion.cmake COMPATIBILITY SameMinorVersion)
configure_file(cmake/sinter.pc.in ${PROJECT_BINARY_DIR}/sinter.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/SinterConfig.cmake ${PROJECT_BINARY_DIR}/SinterConfigVersion.cmake
  DESTINATION lib/cmake/Sinter)
install(FILES ${PROJECT_BINARY_DIR}/sinter.pc DESTINATION lib/pkgconfig)
