# SPDX-License-Identifier: Apache-2.0
etalage_test(serving/event_store_test.cpp LABELS threaded)
etalage_test(serving/journal_faults_test.cpp)
etalage_test(serving/journal_kill_test.cpp)
etalage_test(serving/journal_test.cpp LABELS threaded)
