// SPDX-License-Identifier: Apache-2.0
#include "io/buffer.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "etalage/core/array.hpp"
#include "etalage/error.hpp"

namespace etalage::io {
namespace {

[[noreturn]] void raise(const char* what, const std::filesystem::path& path, int error) {
  throw std::filesystem::filesystem_error(what, path, std::error_code(error, std::generic_category()));
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

}  // namespace

Buffer map_file(const std::filesystem::path& path, const std::string& label) {
  // Not blocking: a pipe of that name must be refused rather than waited for.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) raise("cannot open", path, errno);
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) raise("cannot open", path, errno);
  if (S_ISDIR(info.st_mode)) raise("cannot open", path, EISDIR);
  if (!S_ISREG(info.st_mode)) throw FormatError(label + ": found a pipe or a device, expected a regular file");
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size == 0) return {};
  void* p = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (p == MAP_FAILED) raise("cannot map", path, errno);
  Buffer out;
  out.owner = std::shared_ptr<const void>(p, [size](const void* q) { ::munmap(const_cast<void*>(q), size); });
  out.bytes = {static_cast<const std::byte*>(p), size};
  return out;
}

Buffer copy_memory(std::span<const char> bytes) {
  const Array<char> copy(bytes);
  return {std::as_bytes(copy.view()), copy.owner()};
}

}  // namespace etalage::io
