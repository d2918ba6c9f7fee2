# SPDX-License-Identifier: Apache-2.0
etalage_test(io/serialization_test.cpp)
