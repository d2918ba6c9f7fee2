etalage_tests(core id_map basics build_info catalog slot)
etalage_tests(core events parallel_for LABELS threaded)
