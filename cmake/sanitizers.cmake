# SPDX-License-Identifier: Apache-2.0
# ETALAGE_SANITIZE applies to every target of this build, tests included.
if(ETALAGE_SANITIZE)
  string(REPLACE ";" "," _sanitizers "${ETALAGE_SANITIZE}")
  add_compile_options(-fsanitize=${_sanitizers} -fno-omit-frame-pointer -fno-sanitize-recover=all -g1)
  add_link_options(-fsanitize=${_sanitizers})
endif()
