etalage_test(core/id_map_test.cpp)
etalage_test(core/basics_test.cpp)
etalage_test(core/build_info_test.cpp)
