# Flags that every target of Sinter shares, and two helpers.
#
#   sinter_flags      interface library: warnings, sanitizers
#   sinter_mlir       interface library: sinter_flags, MLIR headers and the two shared libraries; no RTTI, as LLVM is built
#   sinter_precompile_mlir(target)   shares one precompiled MLIR header between targets

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(sinter_flags INTERFACE)
target_include_directories(sinter_flags INTERFACE ${PROJECT_SOURCE_DIR})
# Generated headers are not held to our warnings.
target_include_directories(sinter_flags SYSTEM INTERFACE ${PROJECT_BINARY_DIR})
target_compile_options(sinter_flags INTERFACE -Wall -Wextra)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC bug 105651: false positives on std::string concatenation.
  target_compile_options(sinter_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
if(SINTER_WARNINGS_AS_ERRORS)
  target_compile_options(sinter_flags INTERFACE -Werror)
endif()
if(SINTER_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
  # An index behind a vector's end but within its memory is an error, too.
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC's flow analysis does not see through the instrumentation.
    add_compile_options(-Wno-maybe-uninitialized)
  endif()
endif()

add_library(sinter_mlir INTERFACE)
target_include_directories(sinter_mlir SYSTEM INTERFACE ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
target_link_libraries(sinter_mlir INTERFACE sinter_flags MLIR LLVM)

# MLIR's headers are the bulk of a file's compile time. One header, one library that owns it.
function(sinter_precompile_mlir target)
  if(CCACHE_PROGRAM)
    target_compile_options(${target} PRIVATE -fpch-preprocess)
  endif()
  target_precompile_headers(${target} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/mlir_pch.h)
endfunction()
