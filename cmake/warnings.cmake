# SPDX-License-Identifier: Apache-2.0
function(etalage_warnings target)
  if(ETALAGE_WARNINGS OR ETALAGE_WERROR)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion)
  endif()
  if(ETALAGE_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()
