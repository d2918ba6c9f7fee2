# SPDX-License-Identifier: Apache-2.0
# Sources of one folder compiled several at a time: their headers are read once, which is most of the work of a whole build.
# For builds that nobody edits (the wheel): after a change a whole group is compiled anew. A name in an unnamed namespace is
# used once in a folder, which tests/architecture holds.

# etalage_unity(TARGET SIZE): groups of at most SIZE files, about equally many in each, none of which crosses a folder.
function(etalage_unity target size)
  get_target_property(sources ${target} SOURCES)
  list(FILTER sources EXCLUDE REGEX "^\\$<")
  foreach(source ${sources})
    cmake_path(GET source PARENT_PATH folder)
    string(MAKE_C_IDENTIFIER "g${folder}" group)
    list(APPEND groups ${group})
    list(APPEND files_${group} ${source})
  endforeach()
  list(REMOVE_DUPLICATES groups)
  foreach(group ${groups})
    list(LENGTH files_${group} count)
    math(EXPR batches "(${count} + ${size} - 1) / ${size}")
    set(at 0)
    foreach(source ${files_${group}})
      math(EXPR batch "${at} * ${batches} / ${count}")
      set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${group}_${batch})
      math(EXPR at "${at} + 1")
    endforeach()
  endforeach()
  # GCC takes every file of a group for a header, in which a private type with a member of an unnamed one would be a fault.
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
  # GCC collects its garbage from 128 MB on, which is a seventh of the work of a large group. From 512 MB on the largest takes less than 2 GB. Where memory
  # is short of that for each job it collects as ever.
  cmake_host_system_information(RESULT memory QUERY TOTAL_PHYSICAL_MEMORY)
  cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
  math(EXPR wanted "2048 * (${cores} + 2)")
  if(memory GREATER_EQUAL wanted)
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:--param=ggc-min-heapsize=524288>)
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
endfunction()
