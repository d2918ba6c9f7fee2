# SPDX-License-Identifier: Apache-2.0
target_sources(etalage PRIVATE
  src/marketing/linear_uplift.cpp)
