# Included by llama.cpp's project (CMAKE_PROJECT_INCLUDE): builds a backend as a file that beastd can load on its own.
#
# llama.cpp links a backend with libggml-base.so. beastd contains ggml and exports it, and two copies in one process
# would not share their state, so the backend is linked without one. It contains the name of the sources that it was
# built from, and beastd loads no other (beastd/build/plugins.rs computes the same name).
if(DEFINED BEAST_PLUGIN_INCLUDED)
  return()
endif()
set(BEAST_PLUGIN_INCLUDED TRUE)
set(BEAST_PLUGIN_DIR "${CMAKE_CURRENT_LIST_DIR}")

file(GLOB sources "${CMAKE_SOURCE_DIR}/ggml/include/*.h" "${CMAKE_SOURCE_DIR}/ggml/src/*.h"
     "${CMAKE_SOURCE_DIR}/ggml/src/*.c" "${CMAKE_SOURCE_DIR}/ggml/src/*.cpp")
set(hashes "")
foreach(source IN LISTS sources)
  file(SHA256 "${source}" hash)
  list(APPEND hashes "${hash}")
endforeach()
list(SORT hashes)
list(JOIN hashes "" hashes)
string(SHA256 build "${hashes}")
string(SUBSTRING "${build}" 0 16 build)
file(WRITE "${CMAKE_BINARY_DIR}/beast_build.c"
  "__attribute__((section(\".beast_build\"), used, visibility(\"default\"))) const char beast_build[] = \"${build}\";\n")
message(STATUS "beast plug-in build ${build}")

function(beast_plugin)
  add_library(beast-ggml-headers INTERFACE)
  target_include_directories(beast-ggml-headers INTERFACE "${CMAKE_SOURCE_DIR}/ggml/include")
  target_compile_definitions(beast-ggml-headers INTERFACE GGML_BACKEND_DL GGML_BACKEND_SHARED GGML_SHARED)
  foreach(backend ggml-cuda ggml-vulkan ggml-hip)
    if(TARGET ${backend})
      get_target_property(libraries ${backend} LINK_LIBRARIES)
      list(TRANSFORM libraries REPLACE "^ggml-base$" "beast-ggml-headers")
      set_target_properties(${backend} PROPERTIES LINK_LIBRARIES "${libraries}")
      target_sources(${backend} PRIVATE "${CMAKE_BINARY_DIR}/beast_build.c")
    endif()
  endforeach()
  if(TARGET ggml-vulkan)
    file(STRINGS "${Vulkan_INCLUDE_DIR}/vulkan/vulkan_core.h" version REGEX "define VK_HEADER_VERSION [0-9]+")
    string(REGEX MATCH "[0-9]+" version "${version}")
    if(version LESS 272)
      target_compile_options(ggml-vulkan PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-include ${BEAST_PLUGIN_DIR}/vulkan_compat.h>")
    endif()
  endif()
endfunction()
cmake_language(DEFER DIRECTORY "${CMAKE_SOURCE_DIR}" CALL beast_plugin)
