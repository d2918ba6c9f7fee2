etalage_test(profile/profiles_test.cpp LABELS threaded)
etalage_test(profile/user_profile_test.cpp)
