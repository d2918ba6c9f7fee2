# SPDX-License-Identifier: Apache-2.0
function(etalage_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion)
  if(ETALAGE_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()
