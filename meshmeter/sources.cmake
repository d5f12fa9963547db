# SPDX-License-Identifier: Apache-2.0
# ESP-IDF reads this in script mode first, which knows no dependencies.
if(CMAKE_SCRIPT_MODE_FILE)
  file(GLOB_RECURSE MM_CORE_SOURCES ${CMAKE_CURRENT_LIST_DIR}/src/*.c)
else()
  file(GLOB_RECURSE MM_CORE_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/src/*.c)
endif()
