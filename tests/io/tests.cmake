# SPDX-License-Identifier: Apache-2.0
etalage_test(io/serialization_test.cpp)
etalage_test(io/damaged_file_test.cpp)
etalage_test(io/crash_safety_test.cpp)
