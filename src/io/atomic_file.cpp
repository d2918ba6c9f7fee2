// SPDX-License-Identifier: Apache-2.0
#include "io/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>

namespace etalage::io {
namespace {

std::filesystem::path directory_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

// Some file systems cannot flush a directory and say EINVAL; anything else is a real failure.
int flush_directory(const std::filesystem::path& directory) noexcept {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno == EACCES ? 0 : errno;  // a directory one may write to but not list
  const int error = ::fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
  ::close(fd);
  return error;
}

}  // namespace

void AtomicFile::raise(const char* what, int error) const {
  throw std::filesystem::filesystem_error(what, target_, std::error_code(error, std::generic_category()));
}

AtomicFile::AtomicFile(const std::filesystem::path& path, std::uint64_t expected_bytes) : target_(path) {
  std::error_code ignored;
  if (std::filesystem::is_symlink(path, ignored)) {
    const auto real = std::filesystem::canonical(path, ignored);
    if (!ignored) target_ = real;
  }
  struct stat old {};
  const bool exists = ::stat(target_.c_str(), &old) == 0;
  if (exists && S_ISDIR(old.st_mode)) raise("cannot save", EISDIR);
  if (exists && !S_ISREG(old.st_mode))
    throw std::invalid_argument("path is '" + path.string() + "', a pipe or a device, must be a regular file or not exist");

  static std::atomic<unsigned> counter{0};
  const auto directory = directory_of(target_);
  for (int attempt = 0; fd_ < 0; ++attempt) {
    temporary_ = directory / (".etalage-" + std::to_string(::getpid()) + "-" + std::to_string(counter++) + ".tmp");
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    // A killed process of the same number may have left its file behind.
    if (fd_ < 0 && (errno != EEXIST || attempt == 10000)) {
      const int error = errno;
      temporary_.clear();
      raise("cannot save", error);
    }
  }
  if (exists && ::fchmod(fd_, old.st_mode & 07777) != 0 && errno != EPERM) {
    const int error = errno;
    discard();
    raise("cannot save", error);
  }
  // A full disk is better known now than after minutes of writing. Not every file system can tell.
  if (expected_bytes != 0 && ::fallocate(fd_, 0, 0, static_cast<off_t>(expected_bytes)) != 0 &&
      (errno == ENOSPC || errno == EFBIG || errno == EDQUOT)) {
    const int error = errno;
    discard();
    raise("cannot save", error);
  }
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::discard() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  temporary_.clear();
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  constexpr std::size_t piece = std::size_t{1} << 26;
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), std::min(bytes.size(), piece));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) raise("cannot save", n < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void AtomicFile::commit() {
  if (::fsync(fd_) != 0) raise("cannot save", errno);
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0) raise("cannot save", errno);
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) raise("cannot save", errno);
  temporary_.clear();
  if (const int error = flush_directory(directory_of(target_)); error != 0) raise("saved, but cannot flush the directory", error);
}

}  // namespace etalage::io
