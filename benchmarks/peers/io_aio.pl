# The works in Perl, with IO::AIO and EV: io_aio.pl callbacks|coro FOLDER SMALL BIG; the protocol is in serve.py, the
# formulas in files.py and works.py. With callbacks the calls are IO::AIO's, in coroutines Coro::AIO's.

use strict;
use warnings;
use Fcntl;
use JSON::PP;
use POSIX ();
use Time::HiRes;
use EV;

use constant { BLOCK => 4096, CHUNK => 1 << 20, SLOTS => 1024, BLOCKS => 61, IN_FOLDER => 100, INTERVAL => 0.005 };

my ($style, $folder, $small, $big) = @ARGV;
my $in_coroutines = $style eq "coro";
my $watcher;
if ($in_coroutines) {
    require Coro; require Coro::EV; require Coro::AIO; # which does not work if IO::AIO is there before it
} else {
    require IO::AIO;
    $watcher = EV::io(IO::AIO::poll_fileno(), EV::READ(), \&IO::AIO::poll_cb);
}

sub clock() { Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) }

sysopen my $fh, "$folder/big", O_RDONLY or die $!;
sysopen my $written, "$folder/written", O_WRONLY or die $!;
my @blocks = map { sysread $fh, my $block, BLOCK; $block } 1 .. BLOCKS;
my @paths = map { sprintf "%s/tree/%03d/%05d", $folder, $_ / IN_FOLDER, $_ } 0 .. $small - 1;
my $verifying;

sub look_big { # DATA, OFFSET: the number that is added to the sum
    if ($verifying) {
        for (my $at = 0; $at < length $_[0]; $at += BLOCK) {
            die "wrong bytes at $_[1]" if substr($_[0], $at, BLOCK) ne $blocks[($_[1] + $at) / BLOCK % BLOCKS];
        }
    }
    ord substr $_[0], -1
}

sub look_small { # DATA, NUMBER
    die "wrong bytes of $_[1]" if $verifying and $_[0] ne substr $blocks[$_[1] % BLOCKS], 0, 1000 + $_[1] % 3000;
    ord substr $_[0], -1
}

# ---- one call: item, task, who gets the number ----

my %callbacks = (
    pread => sub {
        my ($offset, $task, $done) = @_;
        my $data = "";
        IO::AIO::aio_read($fh, $offset, BLOCK, $data, 0, sub { $done->(look_big($data, $offset)) });
    },
    stat => sub {
        my ($number, $task, $done) = @_;
        IO::AIO::aio_stat($paths[$number], sub { $done->(-s _) });
    },
    small => sub {
        my ($number, $task, $done) = @_;
        IO::AIO::aio_open($paths[$number], O_RDONLY, 0, sub {
            my $file = shift or die $!;
            my $data = "";
            IO::AIO::aio_read($file, 0, 2 * BLOCK, $data, 0, sub {
                IO::AIO::aio_close($file, sub { $done->(look_small($data, $number)) });
            });
        });
    },
    read_bytes => sub {
        my ($number, $task, $done) = @_;
        my $data = "";
        IO::AIO::aio_slurp($paths[$number], 0, 0, $data, sub { $done->(look_small($data, $number)) });
    },
    pwrite => sub {
        my ($offset, $task, $done) = @_;
        IO::AIO::aio_write($written, $offset, BLOCK, $blocks[$task->{turn} % BLOCKS], 0, $done);
    },
    stream => sub {
        my ($offset, $task, $done) = @_;
        my $data = "";
        IO::AIO::aio_read($fh, $offset, CHUNK, $data, 0, sub { $done->(look_big($data, $offset)) });
    },
    copy => sub {
        my ($number, $task, $done) = @_;
        IO::AIO::aio_copy("$folder/big", "$folder/copied", sub { $_[0] and die $!; $done->(1) });
    },
    scan => sub {
        my ($number, $task, $done) = @_;
        my ($left, $total) = (0, 0);
        my $ended = sub { --$left or $done->($total) };
        my $scan; $scan = sub {
            my $path = shift;
            $left++;
            IO::AIO::aio_readdirx($path, IO::AIO::READDIR_DENTS() | IO::AIO::READDIR_STAT_ORDER(), sub {
                for my $entry (@{ $_[0] }) {
                    my ($name, $type) = @$entry;
                    if ($type == IO::AIO::DT_DIR()) { $scan->("$path/$name"); next }
                    $left++;
                    IO::AIO::aio_lstat("$path/$name", sub { $total += -s _; $ended->() });
                }
                $ended->();
            });
        };
        $scan->("$folder/tree");
    },
    idle => sub {
        my ($number, $task, $done) = @_;
        my $timer; $timer = EV::timer(0.01, 0, sub { undef $timer; $done->(1) });
    },
);

my %coroutines = (
    pread => sub { my $data = ""; Coro::AIO::aio_read($fh, $_[0], BLOCK, $data, 0); look_big($data, $_[0]) },
    stat => sub { Coro::AIO::aio_stat($paths[$_[0]]); -s _ },
    small => sub {
        my $file = Coro::AIO::aio_open($paths[$_[0]], O_RDONLY, 0) or die $!;
        my $data = "";
        Coro::AIO::aio_read($file, 0, 2 * BLOCK, $data, 0);
        Coro::AIO::aio_close($file);
        look_small($data, $_[0])
    },
    read_bytes => sub { my $data = ""; Coro::AIO::aio_slurp($paths[$_[0]], 0, 0, $data); look_small($data, $_[0]) },
    pwrite => sub { Coro::AIO::aio_write($written, $_[0], BLOCK, $blocks[$_[1]{turn} % BLOCKS], 0) },
    stream => sub { my $data = ""; Coro::AIO::aio_read($fh, $_[0], CHUNK, $data, 0); look_big($data, $_[0]) },
);

my $slot = sub { $_[0] % SLOTS * BLOCK };
my $file = sub { $_[0] % $small };
my $same = sub { $_[0] };
my %items = (
    pread => $slot, pwrite => $slot, stat => $file, small => $file, read_bytes => $file,
    stream => sub { $_[0] * CHUNK % $big }, copy => $same, scan => $same, idle => $same,
);

# ---- the tasks ----

sub chains { # TASK, CALL, ITEM: chains of callbacks; the sum
    my ($task, $call, $item) = @_;
    my ($running, $total) = (0, 0);
    for my $first (0 .. $task->{tasks} - 1) {
        my $n = $first;
        next if $n >= $task->{count};
        $running++;
        my $done; $done = sub {
            $total += $_[0];
            $n += $task->{tasks};
            if ($n < $task->{count}) { $call->($item->($n), $task, $done) }
            else { undef $done; --$running or EV::break() }
        };
        $call->($item->($n), $task, $done);
    }
    EV::run();
    $total
}

sub coros { # TASK, CALL, ITEM: coroutines; the sum
    my ($task, $call, $item) = @_;
    my $total = 0;
    my @all = map {
        my $first = $_;
        Coro::async(sub {
            for (my $n = $first; $n < $task->{count}; $n += $task->{tasks}) {
                my $value = $call->($item->($n), $task);
                $total += $value;
            }
        })
    } 0 .. $task->{tasks} - 1;
    $_->join for @all;
    $total
}

sub run {
    my $task = shift;
    my $call = ($in_coroutines ? \%coroutines : \%callbacks)->{ $task->{kind} };
    return undef if !$call or $task->{burning};
    $verifying = $task->{verify};
    my @late;
    EV::now_update();
    my $began = clock;
    my $due = $began + INTERVAL;
    my $note = sub {
        my $now = clock;
        for (; $due <= $now; $due += INTERVAL) { push @late, ($now - $due) * 1000 }
        $due - $now
    };
    my $timer; $timer = EV::timer(INTERVAL, 0, sub {
        my $left = $note->();
        EV::now_update();
        $timer->set($left, 0);
        $timer->start;
    });
    my $total = ($in_coroutines ? \&coros : \&chains)->($task, $call, $items{ $task->{kind} });
    my $seconds = clock() - $began;
    $note->();
    { total => $total + 0, seconds => $seconds, late => \@late }
}

$| = 1;
my $json = JSON::PP->new->allow_nonref;
while (my $line = <STDIN>) {
    print $json->encode(run($json->decode($line))), "\n";
}
POSIX::_exit(0);
