etalage_test(models/factor_model_test.cpp LABELS threaded)
