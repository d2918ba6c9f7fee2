# SPDX-License-Identifier: Apache-2.0
etalage_test(marketing/linear_uplift_test.cpp)
