//! For how long a standby lags, as it tells.

use hanse_workload::CopyReport;

use crate::moves::pair;

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_tells_for_how_long_it_lags_and_once_it_has_all() {
    let mut lab = pair().await;
    let has_all = |told: &CopyReport| told.lag_s == Some(0);
    lab.copies[1].until("it has all", has_all).await;
    assert_eq!(
        lab.copies[0].reports.borrow().lag_s,
        None,
        "it follows nobody"
    );
    lab.copies[1].sql("select pg_wal_replay_pause()");
    lab.copies[0].sql("insert into orders values (2)");
    let lags = |told: &CopyReport| told.lag_s.is_some_and(|lag_s| lag_s > 0);
    lab.copies[1].until("it lags", lags).await;
    lab.copies[1].sql("select pg_wal_replay_resume()");
    lab.copies[1].until("it has all again", has_all).await;
}
