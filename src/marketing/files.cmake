# SPDX-License-Identifier: Apache-2.0
target_sources(etalage PRIVATE
  src/marketing/allocation.cpp
  src/marketing/allocation_dual.cpp
  src/marketing/allocation_repair.cpp
  src/marketing/pacing.cpp)
