# SPDX-License-Identifier: Apache-2.0
# What every target shares: warnings, sanitizers, and the libraries of the system.

if(NOT MM_CORE_ONLY)
  find_package(PkgConfig REQUIRED)
  find_package(Threads REQUIRED)
endif()

add_library(mm_options INTERFACE)
target_compile_options(mm_options INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wmissing-prototypes -Wstrict-prototypes
  -Wvla -Wcast-qual $<$<BOOL:${MM_WERROR}>:-Werror>)
if(MM_SANITIZE)
  set(MM_SANITIZE_FLAGS -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_compile_options(mm_options INTERFACE ${MM_SANITIZE_FLAGS})
  if(CMAKE_C_COMPILER_ID STREQUAL GNU)
    # With less optimisation it knows less of what a number can be; the plain builds warn.
    target_compile_options(mm_options INTERFACE -Wno-format-truncation -Wno-maybe-uninitialized)
  endif()
  target_link_options(mm_options INTERFACE ${MM_SANITIZE_FLAGS})
endif()
if(MM_FUZZ)
  target_compile_options(mm_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# mm_count_coverage(<name>) has the core's code in a target counted, if this build counts. No optimisation: a branch of
# the source is then one of the program.
function(mm_count_coverage name)
  if(MM_COVERAGE)
    target_compile_options(${name} PRIVATE --coverage -fprofile-abs-path -O0)
    target_link_options(${name} PUBLIC --coverage)
  endif()
endfunction()

# mm_add_library(<name> <glob>...) makes a static library of the sources that match, or nothing if there are none.
function(mm_add_library name)
  file(GLOB sources CONFIGURE_DEPENDS ${ARGN})
  if(NOT sources)
    message(STATUS "${name}: no sources yet, skipped")
    return()
  endif()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PRIVATE mm_options)
endfunction()

# Everything outside of the core may use the operating system.
function(mm_use_operating_system name)
  target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
endfunction()

# Quoted includes only: a folder called linux on the ordinary path would hide the kernel's <linux/...> headers.
function(mm_quote_include name scope)
  foreach(folder IN LISTS ARGN)
    target_compile_options(${name} ${scope} "SHELL:-iquote ${folder}")
  endforeach()
endfunction()

# mm_link_if_target(<name> <library>...) links those of the libraries that this tree has.
function(mm_link_if_target name)
  foreach(library IN LISTS ARGN)
    if(TARGET ${library})
      target_link_libraries(${name} PRIVATE ${library})
    endif()
  endforeach()
endfunction()
