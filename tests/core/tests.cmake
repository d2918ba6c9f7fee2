etalage_tests(core id_map basics build_info catalog option_rule slot)
etalage_tests(core events event_matrix parallel_for LABELS threaded)
